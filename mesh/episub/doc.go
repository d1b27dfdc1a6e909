// Package episub is the dissemination protocol of Murmuration as a state machine: who sends which fragment to whom.
//
// Events go in (a fragment came, a control frame came, a neighbour appeared, time passed), actions come out (send,
// deliver, report). Time and randomness are parameters, so the same code runs on gossipsub in a node, on simulated
// links, and ten thousandfold in a discrete-event model, and gives the same result for the same seed. It holds no
// bytes of media, opens no socket and starts no goroutine. EPISUB.md beside it says what goes over the wire, when and
// why; read that first, then machine.go, forward.go, tree.go, admit.go, repair.go, advert.go, introduce.go.
package episub
