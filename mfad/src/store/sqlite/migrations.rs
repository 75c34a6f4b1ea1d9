//! The schema, version by version. It runs nothing.

/// Each brings the schema from its index to the next number. Only ever append.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3];

const VERSION_1: &str = "
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
CREATE INDEX credential_pending ON credential (pending_until) WHERE pending_until IS NOT NULL;
CREATE TABLE backup_code (
    person     INTEGER NOT NULL,
    credential BLOB    NOT NULL,
    number     INTEGER NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (person, credential, number),
    FOREIGN KEY (person, credential) REFERENCES credential (person, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger (
    person   INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    class    TEXT    NOT NULL,
    failures BLOB    NOT NULL,
    PRIMARY KEY (person, class)
) STRICT, WITHOUT ROWID;
CREATE TABLE trusted_source (
    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    source BLOB    NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (person, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE source (
    source   BLOB    NOT NULL PRIMARY KEY,
    clear_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    time   INTEGER NOT NULL,
    user   TEXT,
    record TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_user ON audit (user) WHERE user IS NOT NULL;
CREATE TABLE counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('enrolled', 0);
INSERT INTO person (id, realm, name, uid) VALUES (0, '', '', 0);
";

const VERSION_2: &str = "
ALTER TABLE person ADD COLUMN last_mfa  INTEGER;         -- until now, last_login was this
ALTER TABLE person ADD COLUMN preferred TEXT;
UPDATE person SET last_mfa = last_login;
CREATE TABLE requirement (
    person INTEGER PRIMARY KEY REFERENCES person (id) ON DELETE CASCADE,
    text   TEXT    NOT NULL
) STRICT;
CREATE TABLE device (
    person    INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    id        BLOB    NOT NULL CHECK (length(id) = 32),  -- digest of what it is bound to
    label     TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    last_used INTEGER,
    PRIMARY KEY (person, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE proof (
    person  INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    session BLOB    NOT NULL CHECK (length(session) = 32),
    kind    TEXT    NOT NULL,
    time    INTEGER NOT NULL,
    PRIMARY KEY (person, session, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    kind   INTEGER NOT NULL,                              -- 1 network, 2 country, 3 device
    value  BLOB    NOT NULL,
    last   INTEGER NOT NULL,                              -- to a day
    proven INTEGER NOT NULL,                              -- a second factor was, with it
    PRIMARY KEY (person, kind, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE habit (
    person INTEGER PRIMARY KEY REFERENCES person (id) ON DELETE CASCADE,
    last   INTEGER NOT NULL,
    bytes  BLOB    NOT NULL
) STRICT;
CREATE TABLE failure (
    slot   INTEGER PRIMARY KEY CHECK (slot BETWEEN 0 AND 59),
    minute INTEGER NOT NULL,
    count  INTEGER NOT NULL
) STRICT;
";

// Of proofs made before, nobody knows how long ago that is by a clock that is not set: their makers are asked once more.
const VERSION_3: &str = "
DELETE FROM proof;
ALTER TABLE proof ADD COLUMN booted INTEGER NOT NULL DEFAULT 0; -- seconds since the boot
";
