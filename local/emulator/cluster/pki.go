package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// lifetime of what an authority issues: longer than any local world is kept.
const lifetime = 365 * 24 * time.Hour

// authority is a certificate authority that lives as long as its cluster.
type authority struct {
	cert    *x509.Certificate
	key     crypto.Signer
	certPEM []byte
}

// keyPair is a certificate with its key, both PEM.
type keyPair struct{ cert, key []byte }

func (p keyPair) tls() (tls.Certificate, error) { return tls.X509KeyPair(p.cert, p.key) }

func newAuthority(name string) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	made, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name}, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority %s: %w", name, err)
	}
	encoded, err := cert.EncodeCertificates(made)
	return &authority{cert: made, key: key, certPEM: encoded}, err
}

// servingPair is for a server on the loopback address.
func (a *authority) servingPair() (keyPair, error) {
	return a.issue(cert.Config{
		CommonName: "localhost",
		AltNames:   cert.AltNames{DNSNames: []string{"localhost"}, IPs: []net.IP{net.ParseIP(loopback)}},
		Usages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// server is one on the loopback address, without a handler yet.
func (a *authority) server() (*http.Server, error) {
	serving, err := a.servingPair()
	if err != nil {
		return nil, err
	}
	certificate, err := serving.tls()
	if err != nil {
		return nil, err
	}
	return &http.Server{
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that is killed breaks a handshake off
	}, nil
}

// clientPair is for a Kubernetes user: the common name is its name, the
// organizations are its groups.
func (a *authority) clientPair(user string, groups ...string) (keyPair, error) {
	return a.issue(cert.Config{CommonName: user, Organization: groups, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *authority) issue(config cert.Config) (keyPair, error) {
	key, err := newKey()
	if err != nil {
		return keyPair{}, err
	}
	template := &x509.Certificate{ // CreateCertificate chooses the serial number
		Subject:     pkix.Name{CommonName: config.CommonName, Organization: config.Organization},
		DNSNames:    config.AltNames.DNSNames,
		IPAddresses: config.AltNames.IPs,
		NotBefore:   a.cert.NotBefore,
		NotAfter:    a.cert.NotBefore.Add(lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: config.Usages,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("issue a certificate for %s: %w", config.CommonName, err)
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	return keyPair{cert: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der}), key: keyPEM}, err
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}
