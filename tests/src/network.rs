//! Clients elsewhere: network namespaces of the bed's, each tied to sshd's by a pair of veth devices. Nothing outside of the
//! bed is touched, and each is removed when it is dropped.

use std::fmt::Write as _;

use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
};

/// A network of a client's own.
#[derive(Debug)]
pub struct Network<'h> {
    host: &'h Host,
    name: &'static str,
}

/// Where a client sits, and what it reaches sshd by: two addresses of one /24, or /64.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The client's.
    pub client: &'static str,
    /// sshd's.
    pub server: &'static str,
}

impl Line {
    fn six(self) -> bool {
        self.server.contains(':')
    }
}

impl<'h> Network<'h> {
    /// Makes one, by a name of at most 11 letters. sshd listens there once it has read its settings again.
    pub fn new(host: &'h Host, name: &'static str, lines: &[Line]) -> Result<Self, Failure> {
        let network = Self { host, name };
        let mut script = format!(
            "set -e; ip netns add {name}; ip link add srv-{name} type veth peer name cli-{name}; \
             ip link set cli-{name} netns {name}; ip link set srv-{name} up; ip -n {name} link set cli-{name} up; "
        );
        let mut listen = String::new();
        for line in lines {
            // Nobody else can have the address: an IPv6 one need not be looked for first.
            let (length, rest) = if line.six() { (64, "nodad") } else { (24, "") };
            let _ = write!(
                script,
                "ip address add {}/{length} dev srv-{name} {rest}; \
                 ip -n {name} address add {}/{length} dev cli-{name} {rest}; ",
                line.server, line.client
            );
            let server = if line.six() {
                format!("[{}]", line.server)
            } else {
                line.server.to_owned()
            };
            let _ = writeln!(listen, "ListenAddress {server}:2222");
        }
        host.ok(&script)?;
        host.write(
            &format!("/etc/ssh/sshd_config.d/15-{name}.conf"),
            "0644",
            &listen,
        )?;
        Ok(network)
    }

    /// Whether somebody is let in from there, with this dialogue after the key.
    pub fn admits(
        &self,
        person: &Person,
        line: Line,
        dialogue: &[(&str, &str)],
    ) -> Result<bool, Failure> {
        let within = format!("nsenter --net=/run/netns/{} --", self.name);
        self.host.ssh_login_within(
            &within,
            person,
            &format!("-o HostName={}", line.server),
            dialogue,
        )
    }

    /// Fails unless a login by key alone is let in, or not, as `admit` says.
    pub fn must(&self, person: &Person, line: Line, admit: bool) -> Outcome {
        let admitted = self.admits(person, line, &[])?;
        ensure(admitted == admit, || {
            format!(
                "from {}: let in is {admitted}, and not {admit}",
                line.client
            )
        })
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        // The devices go with the namespace. What is left ends with the bed.
        let _ = self.host.sh(&format!("ip netns delete {}", self.name));
    }
}
