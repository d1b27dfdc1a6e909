package mesh

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"murmuration/chunker/envelope"
)

const (
	linkScheme    = "murmur://"
	maxLink       = 8 << 10 // bytes
	maxLinkAddrs  = 32
	linkExample   = "murmur://12D3KooW.../?p=/ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW..."
	linkAddrParam = "p"
)

// ErrLink is wrapped by errors about text that should be a link and is not.
var ErrLink = errors.New("not a murmur link")

// Link is what an organiser hands out: a channel, perhaps one broadcast of it, and peers to start from.
//
//	murmur://CHANNEL/BROADCAST?p=MULTIADDR&p=MULTIADDR
//	murmur://CHANNEL/BROADCAST?p=MULTIADDR&k=KEY          a private one
//	murmur://CHANNEL?p=MULTIADDR                          what is on now, and what follows it
type Link struct {
	Channel   envelope.Channel
	Broadcast string // empty: what is on now
	Peers     []peer.AddrInfo
	Key       LinkKey // of a private broadcast; else empty
}

// ParseLink reads a link. The error says what is wrong with it and shows one that is right.
func ParseLink(s string) (Link, error) {
	l, err := parseLink(s)
	if err != nil {
		return Link{}, fmt.Errorf("%w: %w (a link looks like %s)", ErrLink, err, linkExample)
	}
	return l, nil
}

func parseLink(s string) (Link, error) {
	var l Link
	s = strings.TrimSpace(s)
	if s == "" {
		return l, errors.New("it is empty")
	}
	if len(s) > maxLink {
		return l, fmt.Errorf("it has %d bytes, more than %d", len(s), maxLink)
	}
	if len(s) < len(linkScheme) || !strings.EqualFold(s[:len(linkScheme)], linkScheme) {
		return l, fmt.Errorf("it does not start with %s", linkScheme)
	}
	rest, fragment, _ := strings.Cut(s[len(linkScheme):], "#")
	if fragment != "" {
		return l, errors.New("it has a #fragment, which means nothing here")
	}
	path, query, _ := strings.Cut(rest, "?")
	channel, broadcast, _ := strings.Cut(path, "/")
	if channel == "" {
		return l, errors.New("the channel is missing")
	}
	var err error
	if l.Channel, err = ParseChannel(channel); err != nil {
		return l, err
	}
	l.Broadcast = strings.TrimSuffix(broadcast, "/")
	if l.Broadcast != "" {
		if err := envelope.CheckName(l.Broadcast); err != nil {
			return l, fmt.Errorf("the broadcast %q is not one: %w", l.Broadcast, err)
		}
	}
	if err := l.parseQuery(query); err != nil {
		return l, err
	}
	if len(l.Key) > 0 && l.Broadcast == "" {
		return l, errors.New("it has a key k= and names no broadcast: a key is of one broadcast")
	}
	return l, nil
}

func (l *Link) parseQuery(query string) error {
	n := 0
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		var err error
		switch name {
		case linkAddrParam:
			if n++; n > maxLinkAddrs {
				return fmt.Errorf("it names more than %d addresses", maxLinkAddrs)
			}
			err = l.parsePeer(value)
		case linkKeyParam:
			if len(l.Key) > 0 {
				return errors.New("it has two keys k=")
			}
			l.Key, err = parseLinkKey(value)
		default: // later versions may say more
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Link) parsePeer(value string) error {
	value, err := url.QueryUnescape(value)
	if err != nil {
		return fmt.Errorf("the address p=%s is badly escaped", value)
	}
	addr, err := multiaddr.NewMultiaddr(value)
	if err != nil {
		return fmt.Errorf("the address %q is not a multiaddr: %w", value, err)
	}
	info, err := peer.AddrInfoFromP2pAddr(addr)
	if err != nil {
		return fmt.Errorf("the address %q does not end in /p2p/PEER: %w", value, err)
	}
	l.Peers = addInfo(l.Peers, *info)
	return nil
}

// addInfo adds the addresses of one peer to a list, one entry a peer, in the order of first mention.
func addInfo(list []peer.AddrInfo, info peer.AddrInfo) []peer.AddrInfo {
	for i := range list {
		if list[i].ID != info.ID {
			continue
		}
		for _, a := range info.Addrs {
			if !multiaddr.Contains(list[i].Addrs, a) {
				list[i].Addrs = append(list[i].Addrs, a)
			}
		}
		return list
	}
	return append(list, info)
}

// WithKey returns the link as text that ParseLink reads back, whole: what opens a private broadcast is in it.
func (l Link) WithKey() string {
	s := l.String()
	if len(l.Key) == 0 || l.Broadcast == "" {
		return s
	}
	sep := "?"
	if strings.Contains(s, sep) {
		sep = "&"
	}
	return s + sep + linkKeyParam + "=" + l.Key.text()
}

// String returns the link as text that ParseLink reads back, without its key: links are logged and shown.
func (l Link) String() string {
	var b strings.Builder
	b.WriteString(linkScheme)
	b.WriteString(ChannelName(l.Channel))
	if l.Broadcast != "" {
		b.WriteByte('/')
		b.WriteString(l.Broadcast)
	}
	sep := byte('?')
	for _, p := range l.Peers {
		addrs, err := peer.AddrInfoToP2pAddrs(&p)
		if err != nil {
			continue // a peer without an ID cannot be dialled
		}
		if len(addrs) == 0 {
			addrs = []multiaddr.Multiaddr{multiaddr.StringCast("/p2p/" + p.ID.String())}
		}
		for _, a := range addrs {
			b.WriteByte(sep)
			b.WriteString(linkAddrParam + "=")
			b.WriteString(linkEscapes.Replace(url.QueryEscape(a.String())))
			sep = '&'
		}
	}
	return b.String()
}

// linkEscapes undoes the escapes that a query does not need (RFC 3986, section 3.4), so that people can read the link.
var linkEscapes = strings.NewReplacer("%2F", "/", "%3A", ":")
