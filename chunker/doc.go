// Package chunker cuts access units (pictures and audio frames) into chunks of about 250 ms: each a CMAF chunk
// (moof+mdat), one IPLD raw block, described by a signed envelope (package chunker/envelope). It has no I/O and no
// clock of its own. It does not read containers or sockets (node/ingest does) and does not send anything (mesh does).
package chunker
