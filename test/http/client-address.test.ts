import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createClientAddressReader, ProxyRangeError } from '../../src/http/client-address.ts'

const TRUSTED = ['10.0.0.0/8', '192.0.2.7', '2001:db8:1::/48']

function read(peer: string, ...rawHeaders: string[]) {
  return createClientAddressReader(TRUSTED)(peer, rawHeaders)
}

describe('without trusted proxies', () => {
  const reader = createClientAddressReader([])

  test('forwarding headers are worth nothing', () => {
    const headers = ['X-Forwarded-For', '198.51.100.1', 'X-Forwarded-Proto', 'https']
    const sent = [...headers, 'X-Forwarded-Host', 'evil.example']
    expect(reader('10.1.2.3', sent)).toEqual({
      address: '10.1.2.3',
      forwardedFor: '10.1.2.3',
      proto: null,
      host: null,
    })
  })

  test.each([
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['', ''],
  ])('the peer %s is called %s', (peer, address) => {
    expect(reader(peer, []).address).toBe(address)
  })
})

test('a peer that is not trusted is believed nothing', () => {
  const headers = ['X-Forwarded-For', '198.51.100.1', 'X-Forwarded-Host', 'evil.example']
  expect(read('203.0.113.9', ...headers)).toEqual({
    address: '203.0.113.9',
    forwardedFor: '203.0.113.9',
    proto: null,
    host: null,
  })
})

describe('X-Forwarded-For from a trusted peer', () => {
  test.each([
    ['the only entry', '198.51.100.1', '198.51.100.1'],
    ['the last one when others were made up', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['past trusted hops', '1.1.1.1, 198.51.100.1, 10.9.9.9, 192.0.2.7', '198.51.100.1'],
    ['the farthest when all are trusted', '10.1.1.1, 10.2.2.2', '10.1.1.1'],
    ['without its port', '198.51.100.1:4711', '198.51.100.1'],
    ['IPv6', '2001:DB8:0:0::1', '2001:db8::1'],
    ['IPv6 with a port', '[2001:db8::1]:4711', '2001:db8::1'],
    ['IPv6 past a trusted hop', '198.51.100.1, 2001:db8:1::5', '198.51.100.1'],
    ['IPv4 that was mapped', '::ffff:198.51.100.1', '198.51.100.1'],
    ['IPv4 that was mapped, past a trusted hop', '198.51.100.1, ::ffff:10.1.1.1', '198.51.100.1'],
  ])('is %s', (_, value, address) => {
    expect(read('10.0.0.1', 'X-Forwarded-For', value).address).toBe(address)
    expect(read('::ffff:10.0.0.1', 'x-forwarded-for', value).address).toBe(address)
  })

  test.each([
    ['', '10.0.0.1'],
    ['unknown', '10.0.0.1'],
    ['198.51.100.1,', '10.0.0.1'],
    ['198.51.100.1, _hidden, 10.9.9.9', '10.9.9.9'],
    ['010.0.0.1', '10.0.0.1'],
    ['0x7f.1', '10.0.0.1'],
    ['2130706433', '10.0.0.1'],
    ['198.51.100.1:port', '10.0.0.1'],
    ['fe80::1%eth0', '10.0.0.1'],
    ['999.1.1.1', '10.0.0.1'],
    ['198.51.100.1\u00a0x', '10.0.0.1'],
  ])('stops where it is malformed: %j', (value, address) => {
    expect(read('10.0.0.1', 'X-Forwarded-For', value).address).toBe(address)
  })

  test.each([
    ['no entry', '', '10.0.0.1'],
    ['one entry', '198.51.100.1', '198.51.100.1, 10.0.0.1'],
    [
      'trusted hops',
      '198.51.100.1, 10.9.9.9, 192.0.2.7',
      '198.51.100.1, 10.9.9.9, 192.0.2.7, 10.0.0.1',
    ],
    [
      'entries that somebody made up',
      '1.1.1.1, 198.51.100.1, 10.9.9.9',
      '198.51.100.1, 10.9.9.9, 10.0.0.1',
    ],
    ['a malformed entry', '1.1.1.1, _hidden, 10.9.9.9', '10.9.9.9, 10.0.0.1'],
    ['a port', '198.51.100.1:4711', '198.51.100.1, 10.0.0.1'],
  ])('%s: what is passed on begins with the client and ends with the peer', (_, value, chain) => {
    expect(read('10.0.0.1', 'X-Forwarded-For', value).forwardedFor).toBe(chain)
  })

  test('several lines are one list in their order', () => {
    const lines = ['X-Forwarded-For', '1.1.1.1', 'x-forwarded-FOR', '198.51.100.1, 10.9.9.9']
    expect(read('10.0.0.1', ...lines).address).toBe('198.51.100.1')
  })

  test('a list of any length costs no more than 32 hops', () => {
    const list = `198.51.100.1, ${Array(10_000).fill('10.1.1.1').join(', ')}`
    expect(read('10.0.0.1', 'X-Forwarded-For', list).address).toBe('10.1.1.1')
  })
})

describe('X-Forwarded-Proto and X-Forwarded-Host from a trusted peer', () => {
  test('say what the client asked for', () => {
    const headers = ['X-Forwarded-Proto', 'HTTPS', 'X-Forwarded-Host', 'API.example.com:8443']
    expect(read('10.0.0.1', ...headers)).toEqual({
      address: '10.0.0.1',
      forwardedFor: '10.0.0.1',
      proto: 'https',
      host: 'api.example.com:8443',
    })
  })

  test('of several entries the last one is what the trusted proxy wrote', () => {
    const headers = ['X-Forwarded-Host', 'evil.example, api.example.com']
    const more = ['X-Forwarded-Proto', 'http', 'X-Forwarded-Proto', 'https']
    expect(read('10.0.0.1', ...headers, ...more)).toMatchObject({
      proto: 'https',
      host: 'api.example.com',
    })
  })

  test.each(['[2001:db8::1]:443', 'my_service', 'localhost', 'a.b-c.example:1'])(
    'the host %s is one',
    host => {
      expect(read('10.0.0.1', 'X-Forwarded-Host', host).host).toBe(host)
    },
  )

  test.each(['', ' ', 'a b', 'a/b', 'u@a', 'a:b', '-a', 'a..b/../c', '[::1', 'é', 'a\u0000', 'a#'])(
    'the host %j is none',
    host => {
      expect(read('10.0.0.1', 'X-Forwarded-Host', host).host).toBeNull()
    },
  )

  test.each(['', 'ftp', 'https:', 'javascript', 'http s'])('the scheme %j is none', proto => {
    expect(read('10.0.0.1', 'X-Forwarded-Proto', proto).proto).toBeNull()
  })
})

describe('trusted ranges', () => {
  test.each(['::ffff:10.0.0.0/104', '10.0.0.0/8', '0.0.0.0/0'])('%s trusts 10.1.2.3', range => {
    const reader = createClientAddressReader([range])
    expect(reader('10.1.2.3', ['X-Forwarded-For', '198.51.100.1']).address).toBe('198.51.100.1')
  })

  test('a range of one family trusts nobody of the other', () => {
    const reader = createClientAddressReader(['::/0'])
    expect(reader('10.1.2.3', ['X-Forwarded-For', '198.51.100.1']).address).toBe('10.1.2.3')
  })

  test.each(['', '10.0.0.0/33', '10.0.0/8', 'proxy.example', '::/129', '[::1]', '10.0.0.0/8/8'])(
    '%j is refused with its cure',
    range => {
      expect(() => createClientAddressReader([range])).toThrow(ProxyRangeError)
    },
  )
})

const junk = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.ipV4Extended(),
  fc.ipV6(),
  fc.constantFrom('10.1.1.1', '::ffff:10.1.1.1', '[::1]:80', 'https', ',', '%', ':', '[]', '::'),
)
const name = fc.constantFrom('X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Accept')
const header = fc.tuple(
  name,
  fc.array(junk, { maxLength: 5 }).map(list => list.join(', ')),
)
const headers = fc.array(header, { maxLength: 5 }).map(pairs => pairs.flat())

test('fuzz: whatever is sent, what comes out is an address, a scheme and an authority', () => {
  const reader = createClientAddressReader(TRUSTED)
  fc.assert(
    fc.property(headers, sent => {
      const { address, proto, host } = reader('10.0.0.1', sent)
      expect(address).toMatch(/^[0-9a-f.:]+$/)
      expect([null, 'http', 'https']).toContain(proto)
      expect(host ?? 'a').toMatch(/^[a-z0-9._:[\]-]+$/)
    }),
    { numRuns: 10_000 },
  )
})

test('property: what a client writes itself never moves it past the last trusted hop', () => {
  const reader = createClientAddressReader(TRUSTED)
  fc.assert(
    fc.property(headers, fc.array(junk, { maxLength: 6 }), (sent, made) => {
      const honest = ['X-Forwarded-For', [...made, '198.51.100.77', '10.2.2.2'].join(', ')]
      expect(reader('10.0.0.1', [...sent, ...honest]).address).toBe('198.51.100.77')
    }),
    { numRuns: 5000 },
  )
})
