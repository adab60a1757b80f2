//! Asks the hosts file and the DNS. Nothing is remembered here: how long an answer is good is for whoever asks to know.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use thiserror::Error;

use super::srv::Record;
use crate::config::ready::Dns;

/// Where the system says whom to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How often a question is asked in the time there is: a datagram may get lost.
const TRIES: u32 = 3;

/// Records of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// All of them.
    pub records: T,
    /// How long they are good.
    pub ttl: Duration,
}

/// The addresses of a name, by family.
#[derive(Debug)]
pub struct Addresses {
    /// Those of IPv4.
    pub v4: Result<Answer<BTreeSet<IpAddr>>, Miss>,
    /// Those of IPv6.
    pub v6: Result<Answer<BTreeSet<IpAddr>>, Miss>,
}

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Miss {
    /// The DNS says so.
    #[error("there is no such name")]
    NoName,
    /// The name is there, and has none of the records that were asked for.
    #[error("the name has no such records")]
    NoRecords,
    /// Nobody knows.
    #[error("{0}")]
    Failed(String),
}

impl Miss {
    /// Whether this is what the DNS says, rather than that nothing is known.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

/// Asks whom the settings say.
pub struct Resolver {
    dns: Dns,
}

impl Resolver {
    /// Nobody is asked yet.
    #[must_use]
    pub const fn new(dns: Dns) -> Self {
        Self { dns }
    }

    /// What it goes by.
    #[must_use]
    pub fn settings(&self) -> &Dns {
        &self.dns
    }

    /// The addresses of a name: those of the hosts file, if it has any, or else what the DNS says.
    pub async fn addresses(&self, host: &str) -> Addresses {
        if let Some(found) = self.in_hosts_file(host) {
            return found;
        }
        let (v4, v6) = tokio::join!(
            self.ask(host, RecordType::A),
            self.ask(host, RecordType::AAAA)
        );
        let addresses = |answer: Answer<(Name, Vec<RData>)>| Answer {
            records: answer
                .records
                .1
                .iter()
                .filter_map(RData::ip_addr)
                .map(|ip| ip.to_canonical())
                .collect(),
            ttl: answer.ttl,
        };
        // With a search list, the two families may have been found under two names, which are two services then.
        let differ = matches!((&v4, &v6), (Ok(a), Ok(b)) if a.records.0 != b.records.0);
        Addresses {
            v4: v4.map(addresses),
            v6: if differ {
                Err(Miss::NoRecords)
            } else {
                v6.map(addresses)
            },
        }
    }

    /// The SRV records of a service.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn services(&self, name: &str) -> Result<Answer<Vec<Record>>, Miss> {
        let answer = self.ask(name, RecordType::SRV).await?;
        let record = |data: &RData| match data {
            RData::SRV(srv) => Some(Record {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                host: srv.target.to_lowercase().to_ascii(),
            }),
            _ => None,
        };
        Ok(Answer {
            records: answer.records.1.iter().filter_map(record).collect(),
            ttl: answer.ttl,
        })
    }

    /// What the hosts file says, which is read each time: it is short, and nobody tells when it changes.
    fn in_hosts_file(&self, host: &str) -> Option<Addresses> {
        let hosts = Hosts::from_system().ok()?;
        let name = Name::from_utf8(host).ok()?;
        let find = |kind| {
            let found = hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
            let records = found.answers().iter();
            let ips = records.filter_map(|record| record.data.ip_addr());
            Some(ips.map(|ip| ip.to_canonical()).collect::<BTreeSet<_>>())
        };
        let (v4, v6) = (find(RecordType::A), find(RecordType::AAAA));
        if v4.is_none() && v6.is_none() {
            return None;
        }
        let family = |found: Option<BTreeSet<IpAddr>>| {
            let records = found.ok_or(Miss::NoRecords)?;
            let ttl = self.dns.min_ttl;
            Ok(Answer { records, ttl })
        };
        Some(Addresses {
            v4: family(v4),
            v6: family(v6),
        })
    }

    /// The records of a kind, and the name they were found under, which is another one where there is a search list.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Answer<(Name, Vec<RData>)>, Miss> {
        let resolver = self.make()?;
        let asked = tokio::time::timeout(self.dns.timeout, resolver.lookup(name, kind)).await;
        let late = |_| Miss::Failed(format!("no server answered within {:?}", self.dns.timeout));
        let found = asked.map_err(late)?.map_err(|error| miss(&error))?;
        let records = found.answers();
        // The names in between are part of the answer, and may be the first to change.
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        let own = records.iter().filter(|record| record.record_type() == kind);
        let data: Vec<_> = own.map(|record| record.data.clone()).collect();
        if data.is_empty() {
            return Err(Miss::NoRecords);
        }
        Ok(Answer {
            records: (found.query().name().clone(), data),
            ttl: Duration::from_secs(ttl.into()),
        })
    }

    /// The one that asks a question. Each has its own, for two reasons: what the system says may have changed; and a
    /// connection that was kept may lead to what a server knew when it was opened, as dnsmasq answers in a process of its own.
    fn make(&self) -> Result<TokioResolver, Miss> {
        let mut builder = if self.dns.servers.is_empty() {
            let system = TokioResolver::builder_tokio();
            system.map_err(|error| {
                Miss::Failed(format!(
                    "{RESOLV_CONF} names no server that could be asked ({error}); name some as dns.servers"
                ))
            })?
        } else {
            let config = ResolverConfig::from_parts(None, Vec::new(), self.servers());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        self.tune(builder.options_mut());
        builder
            .build()
            .map_err(|error| Miss::Failed(error.to_string()))
    }

    fn tune(&self, options: &mut ResolverOpts) {
        options.timeout = self.dns.timeout / TRIES;
        options.attempts = usize::try_from(TRIES - 1).unwrap_or(1);
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
    }

    fn servers(&self) -> Vec<NameServerConfig> {
        let server = |address: &std::net::SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            server.connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        };
        self.dns.servers.iter().map(server).collect()
    }
}

fn miss(error: &NetError) -> Miss {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Miss::NoName,
            _ => Miss::NoRecords,
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Miss::Failed(format!("a server answered {code}"))
        }
        NetError::Timeout => Miss::Failed("no server answered in time".to_owned()),
        other => Miss::Failed(other.to_string()),
    }
}
