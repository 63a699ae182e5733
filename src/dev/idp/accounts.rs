//! Who can be chosen at the development identity provider.

use serde_json::{Map, Value, json};

/// A made-up person, as the provider knows them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// What the button sends.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    pub(super) email_verified: bool,
    pub(super) groups: &'static [&'static str],
    /// What to expect of the gateway, when it is not a sign-in.
    pub(super) note: &'static str,
}

const fn member(key: &'static str, name: &'static str, email: &'static str, group: &'static [&'static str]) -> Account {
    Account { key, name, email, email_verified: true, groups: group, note: "" }
}

/// One for each role, in a group of the role's name.
pub(super) const MEMBERS: &[Account] = &[
    member("viewer", "Vera Viewer", "viewer@example.com", &["viewer"]),
    member("ops", "Otto Ops", "ops@example.com", &["ops"]),
    member("deployer", "Dana Deployer", "deployer@example.com", &["deployer"]),
    member("admin", "Ada Admin", "admin@example.com", &["admin"]),
    member("security", "Selma Security", "security@example.com", &["security"]),
    member("auditor", "Aldo Auditor", "auditor@example.com", &["auditor"]),
];

/// Those whom a gateway for `example.com` turns away.
pub(super) const OUTSIDERS: &[Account] = &[
    Account {
        key: "stranger",
        name: "Stefan Stranger",
        email: "stranger@elsewhere.example",
        email_verified: true,
        groups: &[],
        note: "another domain",
    },
    Account {
        key: "unverified",
        name: "Uma Unverified",
        email: "unverified@example.com",
        email_verified: false,
        groups: &["viewer"],
        note: "address not verified",
    },
];

impl Account {
    /// The one of that key.
    pub(super) fn find(key: &str) -> Option<&'static Self> {
        MEMBERS.iter().chain(OUTSIDERS).find(|account| account.key == key)
    }

    /// The subject: the same at each start, so that a person stays bound to it.
    pub(super) fn subject(&self) -> String {
        format!("dev-{}", self.key)
    }

    /// The claims that these scopes ask for (OpenID Connect Core §5.4; `groups` has no scope there,
    /// so `profile` and a scope of its own both give it).
    pub(super) fn claims(&self, scopes: &[String]) -> Map<String, Value> {
        let asked = |scope: &str| scopes.iter().any(|s| s == scope);
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!(self.subject()));
        if asked("email") {
            claims.insert("email".to_owned(), json!(self.email));
            claims.insert("email_verified".to_owned(), json!(self.email_verified));
        }
        if asked("profile") {
            claims.insert("name".to_owned(), json!(self.name));
        }
        if asked("profile") || asked("groups") {
            claims.insert("groups".to_owned(), json!(self.groups));
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::people::ROLES;

    #[test]
    fn there_is_one_for_each_person_of_the_development_set_up() {
        let emails: Vec<_> = MEMBERS.iter().map(|account| account.email.to_owned()).collect();
        let people: Vec<_> = ROLES.iter().map(|role| format!("{role}@example.com")).collect();
        assert_eq!(emails, people);
        for (account, role) in MEMBERS.iter().zip(ROLES) {
            assert_eq!((account.key, account.groups), (*role, [*role].as_slice()));
        }
    }

    #[test]
    fn a_claim_is_given_to_those_who_ask_for_its_scope() {
        let admin = Account::find("admin").unwrap();
        let cases = [
            ("", "sub"),
            ("email", "email email_verified sub"),
            ("profile", "groups name sub"),
            ("groups", "groups sub"),
            ("email profile", "email email_verified groups name sub"),
        ];
        for (scopes, expected) in cases {
            let scopes: Vec<_> = scopes.split_whitespace().map(str::to_owned).collect();
            let claims = admin.claims(&scopes);
            let mut names: Vec<_> = claims.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), expected);
        }
        assert_eq!(Account::find("nobody"), None);
    }
}
