//! Whether a policy locks every administrator out of a service: whom it asks for what they do not have, wherever they come
//! from. It asks the daemon what they have enrolled, and changes nothing.

use std::collections::BTreeSet;
use std::ffi::CString;

use mfad_protocol::UserInfo;
use nix::unistd::{Group, User, getgrouplist};
use policy::{
    Additions, Blame, Known, Policy, Prospect, Request, Source, SuSubject, UnenrolledAction,
    Verdict,
};

use super::{Caution, Cautions};
use crate::client;
use crate::command::Console;
use crate::failure::{Failure, Refusal};
use crate::pam::install::admins;
use crate::{render, rules};

/// Services by which administrators come in, and become root.
const SERVICES: [&str; 4] = ["sshd", "sudo", "su", "login"];
/// Most administrators that a warning names.
const MOST_NAMED: usize = 5;

/// Somebody who administers this machine.
#[derive(Debug)]
struct Administrator {
    name: String,
    uid: u32,
    groups: Vec<String>,
    /// Kinds of factors that they have enrolled.
    kinds: Vec<String>,
    /// What they demand beyond the policy; `None` if it cannot be read, which refuses them.
    own: Option<Additions>,
}

/// Adds a warning for each service at which no administrator can get in.
pub(super) async fn look(
    policy: &Policy,
    sources: &[Source<'_>],
    console: &Console<'_>,
    cautions: &mut Cautions,
) {
    let people = match administrators(console).await {
        Ok(people) => people,
        Err(failure) => {
            let why = render::shown(&failure.to_string());
            cautions.omitted.push(format!(
                "Whether it locks administrators out is not known, because the daemon did not tell who has a factor: {why}"
            ));
            return;
        }
    };
    let now = console.now.as_second();
    let found = SERVICES.into_iter();
    cautions
        .found
        .extend(found.filter_map(|service| locked_out(policy, sources, &people, service, now)));
}

async fn administrators(console: &Console<'_>) -> Result<Vec<Administrator>, Failure> {
    let proxy = console.client.administration().await?;
    let mut people = Vec::new();
    let names: BTreeSet<String> = admins::names().into_iter().collect();
    for name in names {
        let Ok(Some(user)) = User::from_name(&name) else {
            continue;
        };
        let info = match proxy.show_user(&name).await.map_err(client::failure) {
            Ok(info) => Some(info),
            Err(Failure::Refused(Refusal::NotFound, _)) => None,
            Err(failure) => return Err(failure),
        };
        people.push(Administrator::of(&user, info));
    }
    Ok(people)
}

impl Administrator {
    fn of(user: &User, info: Option<UserInfo>) -> Self {
        let info = info.filter(|info| info.enrolled);
        let text = info
            .as_ref()
            .and_then(|info| info.requirement.clone())
            .unwrap_or_default();
        let source = Source {
            name: "(the user's own)",
            text: &text,
        };
        Self {
            name: user.name.clone(),
            uid: user.uid.as_raw(),
            groups: groups(user),
            kinds: info
                .map(|info| info.credentials.into_iter().map(|one| one.kind).collect())
                .unwrap_or_default(),
            own: Additions::parse(source, &rules::vocabulary()).ok(),
        }
    }

    /// Whether the policy can be met by them at a service, in some circumstances; else the rule that stands against it.
    fn gets_in(&self, policy: &Policy, service: &str, now: i64) -> Result<(), Option<Prospect>> {
        let Some(own) = &self.own else {
            return Err(None);
        };
        let caller = service == "su" && policy.subject().su == SuSubject::Caller;
        let request = Request {
            uid: Some(self.uid),
            groups: Known::Is(&self.groups),
            target: caller.then_some("root"),
            ..Request::new(&self.name, service, now)
        };
        let prospects = policy.at_best(&request, own);
        // Who has no factor comes in, or can enroll one in the login.
        let lets_in = policy.unenrolled().action_at(now) != UnenrolledAction::Deny;
        let unasked = self.kinds.is_empty() && lets_in;
        let kinds: Vec<&str> = self.kinds.iter().map(String::as_str).collect();
        let open = |prospect: &Prospect| {
            (unasked && prospect.verdict != Verdict::Deny)
                || policy.can_be_met(&prospect.verdict, &kinds)
        };
        if prospects.iter().any(open) {
            return Ok(());
        }
        Err(prospects.into_iter().next())
    }
}

fn groups(user: &User) -> Vec<String> {
    let ids = CString::new(user.name.as_str())
        .ok()
        .and_then(|name| getgrouplist(&name, user.gid).ok())
        .unwrap_or_default();
    let name = |id| Group::from_gid(id).ok().flatten().map(|group| group.name);
    ids.into_iter().filter_map(name).collect()
}

fn locked_out(
    policy: &Policy,
    sources: &[Source<'_>],
    people: &[Administrator],
    service: &'static str,
    now: i64,
) -> Option<Caution> {
    let target = policy.subject().su == SuSubject::Target;
    // su asks for the factor of root, whom it becomes; to sudo, root need not prove anything.
    let comes = |person: &&Administrator| match service {
        "sudo" => person.uid != 0,
        "su" => (person.uid == 0) == target,
        _ => true,
    };
    let users: Vec<&Administrator> = people.iter().filter(comes).collect();
    let mut obstacles = Vec::new();
    for person in &users {
        obstacles.push((person, person.gets_in(policy, service, now).err()?));
    }
    if obstacles.is_empty() {
        return None;
    }
    let left_out = obstacles.len().saturating_sub(MOST_NAMED);
    let mut each: Vec<String> = obstacles
        .iter()
        .take(MOST_NAMED)
        .map(|(person, obstacle)| describe(person, obstacle.as_ref()))
        .collect();
    if left_out > 0 {
        each.push(format!("{left_out} more"));
    }
    let what = format!(
        "no administrator can get in at {service}: {}",
        each.join("; ")
    );
    let kind = "locks-out-administrators";
    // Of several rules that stand against several administrators, the first is shown; all of them are named.
    let mut blamed = obstacles
        .iter()
        .filter_map(|(_, obstacle)| obstacle.as_ref()?.blame.as_ref());
    Some(Caution {
        service: Some(service),
        ..Caution::new(kind, what, blamed.next(), sources)
    })
}

fn describe(person: &Administrator, obstacle: Option<&Prospect>) -> String {
    let kinds = if person.kinds.is_empty() {
        "no factor".to_owned()
    } else {
        person.kinds.join(", ")
    };
    let has = format!("{} has {kinds}", render::shown(&person.name));
    match obstacle {
        None => format!("{has}, and demands beyond the policy what this version cannot read"),
        Some(Prospect { verdict, blame }) => {
            let by = |blame: &Blame| format!(" (rule “{}”)", blame.rule);
            let by = blame.as_ref().map_or_else(String::new, by);
            format!("{has}, and is asked for {verdict}{by}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, kinds: &[&str]) -> Administrator {
        Administrator {
            name: name.to_owned(),
            uid: if name == "root" { 0 } else { 1000 },
            groups: vec!["sudo".to_owned()],
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            own: Some(Additions::default()),
        }
    }

    fn warned(text: &str, people: &[Administrator]) -> Vec<String> {
        let source = Source {
            name: "policy.toml",
            text,
        };
        let policy = Policy::parse(&[source], &rules::vocabulary()).unwrap();
        let found = SERVICES.into_iter();
        let found =
            found.filter_map(|service| locked_out(&policy, &[source], people, service, 100));
        found.map(|caution| caution.what).collect()
    }

    const HARD: &str = r#"
        [[rule]]
        name = "hard"
        when = { service = ["sshd", "sudo"] }
        require = { any = ["hotp"] }
    "#;

    #[test]
    fn administrators_without_the_demanded_kind_are_locked_out_where_it_is_demanded() {
        let people = [person("root", &["totp"]), person("alice", &["totp"])];
        insta::assert_snapshot!(warned(HARD, &people).join("\n"), @r#"
        no administrator can get in at sshd: root has totp, and is asked for { any = ["hotp"], count = 1 } (rule “hard”); alice has totp, and is asked for { any = ["hotp"], count = 1 } (rule “hard”)
        no administrator can get in at sudo: alice has totp, and is asked for { any = ["hotp"], count = 1 } (rule “hard”)
        "#);
        let people = [
            person("root", &["totp"]),
            person("alice", &["totp", "hotp"]),
        ];
        assert_eq!(warned(HARD, &people), Vec::<String>::new());
    }

    #[test]
    fn who_can_get_in_from_somewhere_or_at_some_time_is_not_locked_out() {
        let text = format!(
            r#"
            [[rule]]
            name = "office"
            when = {{ network = "10.0.0.0/8", time = "Mon 08:00-09:00 UTC", not = {{ country = "CH" }} }}
            require = "none"
            {HARD}"#
        );
        let people = [person("root", &["totp"]), person("alice", &["totp"])];
        assert_eq!(warned(&text, &people), Vec::<String>::new());
        let floor =
            "[[rule]]\nname = \"floor\"\nwhen = {}\nfloor = true\nrequire = { any = [\"hotp\"] }\n";
        assert_eq!(warned(&format!("{text}{floor}"), &people).len(), 4);
    }

    #[test]
    fn who_has_no_factor_gets_in_while_the_policy_lets_them() {
        let people = [person("root", &[]), person("alice", &[])];
        assert_eq!(warned("", &people).len(), 4);
        assert_eq!(
            warned("[unenrolled]\naction = \"enroll\"\n", &people).len(),
            0
        );
        let until = |moment| format!("[unenrolled]\naction = \"allow\"\nuntil = {moment}\n");
        assert_eq!(warned(&until("1970-01-01T00:01:41Z"), &people).len(), 0);
        assert_eq!(warned(&until("1970-01-01T00:01:40Z"), &people).len(), 4);
    }

    #[test]
    fn su_is_judged_by_the_factor_that_it_asks_for() {
        let text = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n";
        let people = [person("root", &["totp"]), person("alice", &[])];
        assert_eq!(
            warned(text, &people).len(),
            1,
            "sudo, which asks for alice's"
        );
        let caller = format!("{text}[subject]\nsu = \"caller\"\n");
        assert_eq!(warned(&caller, &people).len(), 2);
    }
}
