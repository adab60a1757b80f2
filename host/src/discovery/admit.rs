//! Which addresses of an answer are believed. Whoever can forge answers can send requests anywhere; but some addresses are
//! never those of a target, and would turn a gateway against itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether somebody else can be connected to there.
#[must_use]
pub fn is_usable(ip: IpAddr) -> bool {
    let local = match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        // Without the interface, which no answer says, nobody knows where this is.
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(local || ip.is_unspecified() || ip.is_multicast())
}

/// Whether this is where the admin listener listens, which no client is to reach through a name.
#[must_use]
pub fn is_admin(address: SocketAddr, admin: SocketAddr) -> bool {
    let everywhere = admin.ip().is_unspecified() && address.ip().is_loopback();
    address.port() == admin.port() && (everywhere || address.ip() == admin.ip().to_canonical())
}

/// Whether this machine knows a way there. Nothing is sent: the system is only asked.
#[must_use]
pub fn has_route(ip: IpAddr) -> bool {
    /// Any one will do.
    const PORT: u16 = 9;
    let own: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((own, 0)).is_ok_and(|socket| socket.connect((ip, PORT)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_where_no_target_can_be() {
        for bad in [
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "fe80::1",
        ] {
            assert!(!is_usable(bad.parse().unwrap()), "{bad}");
        }
        for good in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "169.254.1.1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(is_usable(good.parse().unwrap()), "{good}");
        }
    }

    #[test]
    fn there_is_a_way_to_this_machine_itself() {
        assert!(has_route(IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn nobody_is_led_to_the_admin_listener() {
        let check = |address: &str, admin: &str, expected| {
            let told = is_admin(address.parse().unwrap(), admin.parse().unwrap());
            assert_eq!(told, expected, "{address} with {admin}");
        };
        check("127.0.0.1:8001", "127.0.0.1:8001", true);
        check("127.0.0.1:8002", "127.0.0.1:8001", false);
        check("127.0.0.2:8001", "127.0.0.1:8001", false);
        check("127.0.0.2:8001", "0.0.0.0:8001", true);
        check("[::1]:8001", "[::]:8001", true);
        check("10.0.0.1:8001", "0.0.0.0:8001", false);
    }
}
