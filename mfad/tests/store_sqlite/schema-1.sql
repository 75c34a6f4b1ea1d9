-- A database of schema 1, as the program of that time wrote it (sqlite3 .dump): alice with a wrong and a right code and a
-- completed login, bob with a wrong code.
PRAGMA application_id = 1835426148;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE person (
    id             INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a session may hold one of a person now gone
    realm          TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    uid            INTEGER NOT NULL,
    last_login     INTEGER,
    failures_since INTEGER NOT NULL DEFAULT 0,
    refused_minute INTEGER NOT NULL DEFAULT 0,        -- of the last audit record about a refused attempt
    refused        INTEGER NOT NULL DEFAULT 0,        -- refused attempts since, without a record
    UNIQUE (realm, name)
) STRICT;
INSERT INTO person VALUES(0,'','',0,NULL,0,0,0);
INSERT INTO person VALUES(1,'local','alice',1000,1800000070,0,0,0);
INSERT INTO person VALUES(2,'local','bob',1001,NULL,1,0,0);
CREATE TABLE credential (
    person        INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    ordinal       INTEGER NOT NULL,                   -- order in which the person got them
    kind          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    folded        TEXT    NOT NULL,                   -- the name in lower case
    created       INTEGER NOT NULL,
    last_used     INTEGER,
    pending_until INTEGER,
    moving        INTEGER NOT NULL,
    sealed        BLOB    NOT NULL,
    PRIMARY KEY (person, id),
    UNIQUE (person, folded)
) STRICT, WITHOUT ROWID;
INSERT INTO credential VALUES(1,X'01010101010101010101010101010101',1,'totp','totp','totp',1800000000,1800000070,NULL,60000000,X'010101010101010101010101010101010101010101010101');
INSERT INTO credential VALUES(1,X'02020202020202020202020202020202',2,'backup-codes','backup-codes','backup-codes',1800000000,NULL,NULL,-1,X'020202020202020202020202020202020202020202020202');
INSERT INTO credential VALUES(2,X'01010101010101010101010101010101',1,'totp','totp','totp',1800000000,NULL,NULL,-1,X'010101010101010101010101010101010101010101010101');
INSERT INTO credential VALUES(2,X'02020202020202020202020202020202',2,'backup-codes','backup-codes','backup-codes',1800000000,NULL,NULL,-1,X'020202020202020202020202020202020202020202020202');
CREATE TABLE backup_code (
    person     INTEGER NOT NULL,
    credential BLOB    NOT NULL,
    number     INTEGER NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (person, credential, number),
    FOREIGN KEY (person, credential) REFERENCES credential (person, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO backup_code VALUES(1,X'02020202020202020202020202020202',0,X'0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO backup_code VALUES(1,X'02020202020202020202020202020202',1,X'0101010101010101010101010101010101010101010101010101010101010101');
INSERT INTO backup_code VALUES(1,X'02020202020202020202020202020202',2,X'0202020202020202020202020202020202020202020202020202020202020202');
INSERT INTO backup_code VALUES(2,X'02020202020202020202020202020202',0,X'0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO backup_code VALUES(2,X'02020202020202020202020202020202',1,X'0101010101010101010101010101010101010101010101010101010101010101');
INSERT INTO backup_code VALUES(2,X'02020202020202020202020202020202',2,X'0202020202020202020202020202020202020202020202020202020202020202');
CREATE TABLE ledger (
    person   INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    class    TEXT    NOT NULL,
    failures BLOB    NOT NULL,
    PRIMARY KEY (person, class)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger VALUES(1,'otp',X'0101f8c8ceb40d0100');
INSERT INTO ledger VALUES(2,'otp',X'0105f8c8ceb40d0100');
CREATE TABLE trusted_source (
    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    source BLOB    NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (person, source)
) STRICT, WITHOUT ROWID;
INSERT INTO trusted_source VALUES(1,X'cb007109',1800000070);
CREATE TABLE source (
    source   BLOB    NOT NULL PRIMARY KEY,
    clear_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO source VALUES(X'cb007109',1800000780);
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    time   INTEGER NOT NULL,
    user   TEXT,
    record TEXT    NOT NULL
) STRICT;
INSERT INTO audit VALUES(1,1800000000,'alice','{"time":1800000000,"event":"enrollment","outcome":"asked","user":"alice","service":"sshd","factor":"totp totp"}');
INSERT INTO audit VALUES(2,1800000000,'alice','{"time":1800000000,"event":"enrollment","outcome":"asked","user":"alice","service":"sshd","factor":"backup-codes backup-codes"}');
INSERT INTO audit VALUES(3,1800000000,'alice','{"time":1800000000,"event":"authentication","outcome":"wrong","user":"alice","service":"sshd"}');
INSERT INTO audit VALUES(4,1800000000,'alice','{"time":1800000000,"event":"authentication","outcome":"granted","user":"alice","service":"sshd","factor":"totp totp"}');
INSERT INTO audit VALUES(5,1800000000,'bob','{"time":1800000000,"event":"enrollment","outcome":"asked","user":"bob","service":"sshd","factor":"totp totp"}');
INSERT INTO audit VALUES(6,1800000000,'bob','{"time":1800000000,"event":"enrollment","outcome":"asked","user":"bob","service":"sshd","factor":"backup-codes backup-codes"}');
INSERT INTO audit VALUES(7,1800000000,'bob','{"time":1800000000,"event":"authentication","outcome":"wrong","user":"bob","service":"sshd"}');
CREATE TABLE counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES('enrolled',2);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('person',2);
CREATE INDEX credential_pending ON credential (pending_until) WHERE pending_until IS NOT NULL;
CREATE INDEX audit_user ON audit (user) WHERE user IS NOT NULL;
COMMIT;
