package main

import (
	"fmt"

	"murmuration/node"
)

type idCmd struct {
	Dir string `type:"path" placeholder:"DIR" help:"Folder of the key files (default: murmur in the user's configuration folder)."`
}

// Run is called by kong.
func (c idCmd) Run(e *env) error {
	id, err := node.Identify(c.Dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "peer     %s\nchannel  %s\nlink     murmur://%s\n", id.Peer, id.Channel, id.Channel)
	return err
}
