// js-libp2p 3 uses what came with Node 22; this is enough of it for Node 20.
Promise.withResolvers ??= function () {
  const deferred = {}
  deferred.promise = new this((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}
