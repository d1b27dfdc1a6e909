// Subscribes to one gossipsub topic with js-libp2p and prints a line for each message: its length and SHA2-256 in hex.
// Usage: node subscriber.mjs MULTIADDR TOPIC. It prints "ready" once it is subscribed and connected, and ends with its
// standard input.
import './polyfill.mjs'
import { createHash } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [address, topic] = process.argv.slice(2)
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

const node = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    pubsub: gossipsub({
      globalSignaturePolicy: 'StrictNoSign',
      // PROTOCOL.md, Topics: an id is bound to topic and content.
      msgIdFn: (message) => sha256(message.topic, Uint8Array.of(0), message.data).subarray(0, 20),
      maxInboundDataLength: 2 << 20,
      maxInboundBufferSize: 4 << 20,
    }),
  },
})
node.services.pubsub.addEventListener('message', ({ detail: message }) => {
  if (message.topic === topic) console.log(`${message.data.length} ${sha256(message.data).toString('hex')}`)
})
node.services.pubsub.subscribe(topic)
await node.dial(multiaddr(address))
console.log('ready')
process.stdin.resume()
process.stdin.on('end', async () => {
  await node.stop()
  process.exit(0)
})
