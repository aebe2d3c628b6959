/** UDP sockets for probes: one per inside address, since a bound address picks its tunnel by itself. */
import { createSocket } from 'node:dgram'
import type { Address } from '#src/net/address.ts'
import { stampPort } from '#src/wire/stamp.ts'

export interface ProbeSocket {
  /** Fire and forget: what can't be sent is a lost probe. */
  send(packet: Buffer, length: number, to: Address): void
  close(): void
}
export type OpenSocket = (local: Address, onPacket: (packet: Buffer, from: string) => void, onBroken: () => void) => ProbeSocket

export const openUdp: OpenSocket = (local, onPacket, onBroken) => {
  // Addresses, never names: by itself dgram puts even those off to another turn, at a sixth of what a packet costs.
  const socket = createSocket({ type: 'udp6', reuseAddr: true, lookup: (host, _, found) => found(null, host, 6) })
  let ready = false
  let closed = false
  const ignore = () => {}
  socket.on('error', () => {
    if (closed) return
    closed = true
    socket.close()
    onBroken()
  })
  socket.on('message', (packet, from) => onPacket(packet, from.address))
  socket.bind({ address: local, port: stampPort, exclusive: true }, () => {
    ready = true
  })
  return {
    send(packet, length, to) {
      // dgram keeps the buffer until it is sent: the caller's is overwritten by the next probe.
      if (ready && !closed) socket.send(Uint8Array.prototype.slice.call(packet, 0, length), stampPort, to, ignore)
    },
    close() {
      if (closed) return
      closed = true
      socket.close()
    },
  }
}
