// Package gate has only a test: small scenarios on both engines, compared with figures that are kept. It fails where a
// change makes dissemination clearly worse, and says by how much.
//
//	go test ./bench/gate                       part of make test
//	go test ./bench/gate -run Gate/model       the model engine alone: seconds
//	go test ./bench/gate -update               keeps new figures, of all or of what -run names
package gate
