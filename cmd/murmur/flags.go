package main

import (
	"time"

	"murmuration/node"
)

// peerFlags are shared by all that take part in a mesh.
type peerFlags struct {
	Dir       string        `type:"path" placeholder:"DIR" help:"Folder of the key files (default: murmur in the user's configuration folder)."`
	Announce  []string      `placeholder:"MULTIADDR" help:"Further addresses to give out, such as a forwarded port: /ip4/203.0.113.7/udp/4101/quic-v1."`
	Upload    bitRate       `placeholder:"8M" help:"Most to upload, in bits a second (default: what the uplink is found to carry)."`
	MDNS      bool          `name:"mdns" default:"true" negatable:"" help:"Look for peers on the local network."`
	HTTP      string        `name:"http" placeholder:"ADDR" default:"${http}" help:"Address of the web page and the players' URLs (${default})."`
	TLSCert   string        `name:"tls-cert" type:"path" placeholder:"FILE" help:"PEM file with a TLS certificate and those that vouch for it: --http serves HTTPS and HTTP/2. Its names need no --allow-host; when it is renewed, so is what is served."`
	TLSKey    string        `name:"tls-key" type:"path" placeholder:"FILE" help:"PEM file with the key of --tls-cert."`
	AllowHost []string      `placeholder:"HOST" help:"Host names that the HTTP side answers to beyond this machine's own, when --http is opened to a network."`
	Token     string        `help:"Token asked of HTTP requests that change anything (default: random; printed with -v, and an origin keeps it in origin.json in --dir while it runs)."`
	Window    time.Duration `default:"60s" help:"How far back players can rewind (kept in memory, about 0.4 MB per second at 3 Mbit/s)."`
}

func (f peerFlags) config(e *env, listen []string) node.Config {
	return node.Config{
		Dir: f.Dir, Listen: listen, Announce: f.Announce, Upload: int64(f.Upload), NoMDNS: !f.MDNS, HTTP: f.HTTP,
		TLSCert: f.TLSCert, TLSKey: f.TLSKey, AllowHosts: f.AllowHost, Token: f.Token, Window: f.Window, Tell: func(line string) { e.say("%s", line) }, Log: e.log,
	}
}
