package mesh

import (
	"testing"

	"murmuration/chunker/envelope"
)

// TestTopics pins PROTOCOL.md's example, and that subscriptions to what is no topic of ours are not kept.
func TestTopics(t *testing.T) {
	var c envelope.Channel
	for i := range c {
		c[i] = byte(i)
	}
	id := TrackID{c, "0mws8hpqqx92z3g4", "main"}
	if topic := id.Topic(); topic != "/murmur/1/Zlbc1kCA2GHSQSTO" {
		t.Errorf("%s is on %s", id, topic)
	}
	for topic, ours := range map[string]bool{
		id.Topic(): true, ChannelTopic(c): true,
		ChannelTopic(c) + "/0mws8hpqqx92z3g4/main": false, "/murmur/1/": false, "/murmur/2/AAAAAAAAAAAAAAAA": false,
		id.Topic() + "A": false, "/murmur/1/AAAAAAAA+AAAAAAA": false,
	} {
		if topicPattern.MatchString(topic) != ours {
			t.Errorf("%q is taken for a topic: %v", topic, !ours)
		}
	}
}
