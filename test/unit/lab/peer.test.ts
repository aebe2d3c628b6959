import { expect, it } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { readPeerText } from '#src/lab/peer.ts'
import { peerConfig } from '#providers/export/peer.ts'
import { network, partner } from '../compile/networks.ts'

const { fabric } = compile(network({ peers: [partner] }), [])
const text = peerConfig(fabric!, fabric!.peers[0]!, 'what-they-agreed-on')

it('reads of a swanctl.conf what its owner would type', () => {
  const { tunnels, routes } = readPeerText(text)
  expect(tunnels.map(({ gateway, hub }) => `${gateway} ${hub}`)).toEqual(
    fabric!.peers[0]!.connections.flatMap(({ address, members }) => members.map((_, n) => `${fabric!.peers[0]!.gateways[n]!.address} ${address}`)),
  )
  expect(tunnels[0]).toMatchObject({
    inside: expect.stringMatching(/^169\.254\.\d+\.\d+\/30$/) as string,
    hubInside: expect.stringMatching(/^169\.254\./) as string,
  })
  expect(routes.length).toBeGreaterThan(0)
})
it('says what a text lacks', () => {
  expect(() => readPeerText('site: berlin\n')).toThrow('it has no tunnels')
  expect(() => readPeerText(text.replaceAll(/^#.*$/gm, ''))).toThrow('the comments with addresses and routes are not all there')
})
