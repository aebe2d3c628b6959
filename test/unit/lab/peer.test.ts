import { expect, it } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { portRules, readPeerText } from '#src/lab/peer.ts'
import { address, prefix } from '#src/net/address.ts'
import { peerConfig } from '#providers/export/peer.ts'
import { network, partner } from '../compile/networks.ts'

const { fabric } = compile(network({ peers: [partner] }), [])
const text = peerConfig(fabric!, fabric!.peers[0]!, 'what-they-agreed-on')

it('reads of a swanctl.conf what its owner would type', () => {
  const { tunnels, routes, mtu } = readPeerText(text)
  expect(tunnels.map(({ gateway, hub }) => `${gateway} ${hub}`)).toEqual(
    fabric!.peers[0]!.connections.flatMap(({ address, members }) => members.map((_, n) => `${fabric!.peers[0]!.gateways[n]!.address} ${address}`)),
  )
  expect(tunnels[0]).toMatchObject({
    insides: [expect.stringMatching(/^169\.254\.\d+\.\d+\/30$/) as string],
    hubInside: expect.stringMatching(/^169\.254\./) as string,
  })
  expect(routes.length).toBeGreaterThan(0)
  expect(mtu).toBe(1360)
})
it('reads the addresses of both families, and tells by the first that a tunnel is up', () => {
  const pools = [prefix('169.254.100.0/24'), prefix('fd5c:1a2b:3c4d::/64')]
  const tunnelOf = (peer: Pick<typeof partner, 'pools'>) => {
    const { fabric: of } = compile(network({ peers: [{ ...partner, ...peer }] }), [])
    return readPeerText(peerConfig(of!, of!.peers[0]!, null)).tunnels[0]
  }
  const six = { insides: ['fd5c:1a2b:3c4d::11/126'], hubInside: 'fd5c:1a2b:3c4d::12' }
  expect(tunnelOf({ pools })).toMatchObject({ insides: ['169.254.100.17/30', ...six.insides], hubInside: '169.254.100.18' })
  expect(tunnelOf({ pools: pools.slice(1) })).toMatchObject(six)
})
it('brings what a hub sends to the one port to the charon of its tunnel, in either family', () => {
  const [four, six] = ['192.0.2.10', '2001:db8:2::10'].map(address)
  const rules = portRules([
    { hub: four!, gateway: address('203.0.113.200') },
    { hub: six!, gateway: address('2001:db8:200::200') },
  ])
  expect(rules).toContain('in ip saddr 192.0.2.10 ip daddr 203.0.113.200 udp dport 4500 udp checksum 0 udp dport set 4501 udp checksum set 0\n')
  expect(rules).toContain('in ip saddr 192.0.2.10 ip daddr 203.0.113.200 udp dport 4500 udp dport set 4501\n')
  expect(rules).toContain('in ip6 saddr 2001:db8:2::10 ip6 daddr 2001:db8:200::200 udp dport 4500 udp dport set 4502\n')
  expect(rules).toContain('out ip6 saddr 2001:db8:200::200 ip6 daddr 2001:db8:2::10 udp sport 4502 udp sport set 4500\n')
})
it('says what a text lacks', () => {
  expect(() => readPeerText('site: berlin\n')).toThrow('it has no tunnels')
  expect(() => readPeerText(text.replaceAll(/^#.*$/gm, ''))).toThrow('the comments with addresses and routes are not all there')
})
