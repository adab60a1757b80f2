package swapgate

import "strings"

// Connection is what is known of the connection an exchange came on: the same for all its exchanges.
type Connection struct {
	Protocol string // "HTTP/1.0", "HTTP/1.1" or "HTTP/2"
	Listener string
	// TLS is nil where the client does not speak it.
	TLS *TLS
	// ProxySource and ProxyDestination are what a PROXY header named, with port; empty without one.
	ProxySource, ProxyDestination string
}

// TLS is what TLS came to.
type TLS struct {
	Version, Cipher string
	SNI, ALPN       string // empty where there was none
	// Client is nil where the client showed no certificate.
	Client *ClientCertificate
}

// ClientCertificate is one that the client showed and that the gateway checked.
type ClientCertificate struct {
	Subject, Issuer, Serial, Fingerprint string
	Names                                []string // "DNS:a.example", "URI:spiffe://a/b"
	DER                                  string
}

// Connection is the one it came on. It copies all there is; Attr reads one at a time.
func (x *Exchange) Connection() Connection {
	known := func(id uint32) string {
		value, _ := x.Attr(id)
		return value
	}
	c := Connection{
		Protocol: known(AttrProtocol), Listener: known(AttrListener),
		ProxySource: known(AttrProxySource), ProxyDestination: known(AttrProxyDestination),
	}
	version, err := x.Attr(AttrTLSVersion)
	if err != nil {
		return c
	}
	c.TLS = &TLS{Version: version, Cipher: known(AttrTLSCipher), SNI: known(AttrTLSSNI), ALPN: known(AttrTLSALPN)}
	print, err := x.Attr(AttrTLSClientFingerprint)
	if err != nil {
		return c
	}
	c.TLS.Client = &ClientCertificate{
		Subject: known(AttrTLSClientSubject), Issuer: known(AttrTLSClientIssuer), Serial: known(AttrTLSClientSerial),
		Fingerprint: print, DER: known(AttrTLSClientCertificate),
	}
	if names := known(AttrTLSClientNames); names != "" {
		c.TLS.Client.Names = strings.Split(names, "\n")
	}
	return c
}
