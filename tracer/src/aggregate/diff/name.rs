//! Names of what is compared: the same before and after a restart, so without process ids, identifiers of cgroups, and
//! ports that were chosen for once.

use std::fmt;

use serde::Serialize;
use tracer_common::aggregate::Side;

use crate::{
    aggregate::{build::side, totals::RankingKey},
    facts::{known_names::KnownNames, names::ContainerNames},
    text::escape::{escaped, name},
    track::connection::Role,
};

/// The first of the ports that a server may have been given (`net.ipv4.ip_local_port_range`, as it is by default).
const FIRST_EPHEMERAL: u16 = 32_768;

/// What connections are compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum GroupName {
    /// A service: the local port of a server, or the remote port of a client.
    Service {
        /// The side that serves it: `local` or `remote`; null if that is not known.
        side: Option<&'static str>,
        /// Its port; null for all those together that were chosen for once, or if the side is not known.
        port: Option<u16>,
    },
    /// Processes of the same name.
    Process {
        /// What they are in their connections.
        role: Option<&'static str>,
        /// Their name, escaped; null if it is not known.
        comm: Option<String>,
    },
    /// Containers of the same name.
    Container {
        /// What they are in their connections.
        role: Option<&'static str>,
        /// Its name, escaped, or else its identifier; null outside of containers.
        container: Option<String>,
        /// The namespace of its pod in Kubernetes, escaped.
        k8s_namespace: Option<String>,
    },
    /// All connections.
    All,
}

impl GroupName {
    /// Names a key; `None` if it cannot be named.
    #[must_use]
    pub fn new(key: RankingKey, role: Role, names: &KnownNames) -> Option<Self> {
        let role = role.name();
        Some(match key {
            RankingKey::Service(Side::Unknown, _) => Self::Service { side: None, port: None },
            RankingKey::Service(end, port) => Self::Service { side: side(end), port },
            RankingKey::Process(comm) => Self::Process { role, comm: comm.map(|comm| escaped(name(&comm))) },
            RankingKey::Container(Some(0)) => Self::Container { role, container: None, k8s_namespace: None },
            RankingKey::Container(of) => {
                // A pod's name is made anew with each pod: its containers' names stay.
                let ContainerNames { container, k8s_namespace, .. } = names.of_cgroup(of?)?.container_names();
                Self::Container { role, container: Some(container?), k8s_namespace }
            }
            _ => return None,
        })
    }

    /// Its kind, by its place in [`Self::KINDS`]; `None` for all connections.
    #[must_use]
    pub const fn kind(&self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Service { .. } => Some(0),
            Self::Process { .. } => Some(1),
            Self::Container { .. } => Some(2),
        }
    }

    /// The titles of columns of names of each kind.
    pub const KINDS: [&str; 3] = ["SERVICE", "PROCESS", "CONTAINER"];

    /// Whether it is a port that a server may have been given, and not chosen.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        matches!(self, Self::Service { port: Some(FIRST_EPHEMERAL..), .. })
    }

    /// All such ports of its side together.
    #[must_use]
    pub fn with_all_ephemeral(&self) -> Self {
        match self {
            Self::Service { side, .. } => Self::Service { side: *side, port: None },
            other => other.clone(),
        }
    }

    /// Whether it says anything: what a connection's side is is not known of those that are older than the recording.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(
            self,
            Self::Service { side: None, .. }
                | Self::Process { role: None, .. }
                | Self::Process { comm: None, .. }
                | Self::Container { role: None, .. }
        )
    }
}

impl fmt::Display for GroupName {
    /// For people, in a column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let as_role = |f: &mut fmt::Formatter<'_>, role: Option<&str>| {
            role.map_or(Ok(()), |role| write!(f, " as {role}"))
        };
        match self {
            Self::Service { side: Some("local"), port: Some(port) } => write!(f, "local port {port}"),
            Self::Service { side: Some(_), port: Some(port) } => write!(f, "to port {port}"),
            Self::Service { side: Some("local"), port: None } => {
                write!(f, "other local ports from {FIRST_EPHEMERAL}")
            }
            Self::Service { side: Some(_), port: None } => {
                write!(f, "to other ports from {FIRST_EPHEMERAL}")
            }
            Self::Service { side: None, .. } => f.write_str("(beginning not seen)"),
            Self::Process { role, comm } => {
                f.write_str(comm.as_deref().unwrap_or("(not known)"))?;
                as_role(f, *role)
            }
            Self::Container { role, container, k8s_namespace } => {
                if let Some(namespace) = k8s_namespace {
                    write!(f, "{namespace}/")?;
                }
                f.write_str(container.as_deref().unwrap_or("(no container)"))?;
                as_role(f, *role)
            }
            Self::All => f.write_str("all connections"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_after_a_restart() {
        let names = KnownNames::default();
        let mut comm = [0; 16];
        comm[..6].copy_from_slice(b"a\x1b[2Jb");
        let process = GroupName::new(RankingKey::Process(Some(comm)), Role::Client, &names).unwrap();
        assert_eq!(process.to_string(), "a\\x1b[2Jb as client");
        let port =
            GroupName::new(RankingKey::Service(Side::Local, Some(40_000)), Role::Server, &names).unwrap();
        assert!(port.is_ephemeral() && port.is_known());
        assert_eq!(port.with_all_ephemeral().to_string(), "other local ports from 32768");
        let json = serde_json::to_string(&port).unwrap();
        assert_eq!(json, r#"{"by":"service","side":"local","port":40000}"#);
        let unknown = GroupName::new(RankingKey::Container(Some(5)), Role::Server, &names);
        assert_eq!(unknown, None);
    }
}
