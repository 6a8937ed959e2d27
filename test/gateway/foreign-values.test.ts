import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accepted, HEAD, read } from '../config/support.ts'
import { buyer, seller } from '../support/accounts.ts'
import { TOKEN_ADDRESS } from '../support/chain.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { signFor } from '../support/payments.ts'
import { connectRaw } from '../support/raw-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import {
  answerWith,
  type StubFacilitator,
  startStubFacilitator,
} from '../support/stub-facilitator.ts'

/**
 * Values that others write (a facilitator, an upstream, whoever wrote the YAML) reach headers and
 * bodies of answers. Whatever they hold, an answer stays one answer with the headers that we gave it.
 */
const PIECES = [
  ...['\r\nX-Injected: 1', '\nX-Injected: 1', '\rX-Injected: 1', '\r\n X-Injected: 1'],
  ...['\r\n\r\nHTTP/1.1 200 OK\r\nX-Injected: 1\r\n\r\n', '\0', '\x7f', '\x0b', '\u2028', '\ufeff'],
  // Written in eight bits, these are line breaks.
  ...['\u010d\u010aX-Injected: 1', '\u560d\u560aX-Injected: 1'],
  ...['"', '\\', '%0d%0aX-Injected: 1', 'é', '☔', '\ud800', 'a'.repeat(700), 'a', ' ', ''],
]
const hostile = fc
  .array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 5 })
  .map(parts => parts.join(''))

const HASH = `0x${'ab'.repeat(32)}`
const KINDS = {
  kinds: [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }],
  extensions: [],
  signers: {},
}
const CHAIN = { chainId: 84532, token: TOKEN_ADDRESS }

let upstream: RawUpstream
let facilitator: StubFacilitator
let gateway: TestGateway
/** What the upstream answers, byte for byte, one character each. */
let answer = ''

const PLAIN = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

beforeAll(async () => {
  upstream = await startRawUpstream(socket => socket.end(Buffer.from(answer, 'latin1')))
  facilitator = await startStubFacilitator(answerWith(KINDS))
  gateway = await startTestGateway(`
server: {listen: "127.0.0.1:0"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${facilitator.url}"]
upstreams: {api: {url: "${upstream.url}"}}
routes:
  /free: free
  GET /paid: $0.001
`)
})

afterAll(async () => {
  await gateway.close()
  await Promise.all([upstream.close(), facilitator.close()])
})

/** A facilitator that answers so; what it leaves out is as a good one says it. */
function facilitatorSays(verify: object, settle: object): void {
  facilitator.answer = ({ path }) => {
    if (path.endsWith('/supported')) return answerWith(KINDS)
    if (path.endsWith('/verify'))
      return answerWith({ isValid: true, payer: buyer.address, ...verify })
    const good = { success: true, transaction: HASH, network: 'eip155:84532', payer: buyer.address }
    return answerWith({ ...good, ...settle })
  }
}

/** Every byte that comes back, one character each. */
async function bytesOf(path: string, more = ''): Promise<string> {
  const client = await connectRaw(gateway.url)
  client.send(`GET ${path} HTTP/1.1\r\nHost: shop\r\n${more}Connection: close\r\n\r\n`)
  return (await client.readToEnd()).toString('latin1')
}

async function bytesOfPaid(): Promise<string> {
  answer = PLAIN
  const header = await signFor(CHAIN, `${gateway.url}/paid`)
  return bytesOf('/paid', `PAYMENT-SIGNATURE: ${header}\r\n`)
}

/** One answer, whose head is made of whole fields that nobody smuggled in. */
function expectOneAnswer(bytes: string): { readonly status: number; readonly head: string[] } {
  const end = bytes.indexOf('\r\n\r\n')
  expect(end).toBeGreaterThan(0)
  const [line = '', ...head] = bytes.slice(0, end).split('\r\n')
  expect(line).toMatch(/^HTTP\/1\.1 \d{3} [\x20-\x7e]*$/)
  for (const field of head)
    expect(field).toMatch(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*$/)
  expect(head.filter(field => /^x-injected/i.test(field))).toEqual([])
  expect(bytes.length).toBeLessThan(64 * 1024)
  const length = head.find(field => /^content-length: /i.test(field))?.split(': ')[1]
  if (length !== undefined) expect(bytes.length - end - 4).toBe(Number(length))
  return { status: Number(line.split(' ')[1]), head }
}

/** What a settlement header or a challenge says: base64 of JSON in ASCII, of a size that passes. */
function expectEncoded(head: readonly string[], name: RegExp): void {
  for (const field of head.filter(one => name.test(one))) {
    const encoded = field.slice(field.indexOf(':') + 2)
    expect(encoded.length).toBeLessThan(8 * 1024)
    expect(encoded).toMatch(/^[A-Za-z0-9+/]+={0,2}$/)
    const text = Buffer.from(encoded, 'base64').toString('latin1')
    expect(text).toMatch(/^[\x20-\x7e]*$/)
    expect(JSON.parse(text)).toBeTypeOf('object')
  }
}

describe('of a facilitator', () => {
  test('a settled payment’s payer, network and extensions', async () => {
    const run = async (text: string): Promise<void> => {
      facilitatorSays(
        { payer: text },
        { payer: text, network: text, extensions: { [text]: text }, amount: text },
      )
      const { status, head } = expectOneAnswer(await bytesOfPaid())
      expect(status).toBe(200)
      expectEncoded(head, /^payment-response:/i)
      expect(upstream.heads.at(-1)?.toLowerCase()).not.toMatch(/^x-injected/m)
    }
    await fc.assert(fc.asyncProperty(hostile, run), { numRuns: 12 })
  })

  test('the transaction and the reasons of a settlement', async () => {
    const run = async (text: string, prefix: string, success: boolean): Promise<void> => {
      const errorReason = prefix + text
      const transaction = success ? text : ''
      facilitatorSays({}, { success, errorReason, errorMessage: text, transaction })
      const { status, head } = expectOneAnswer(await bytesOfPaid())
      expect([402, 503]).toContain(status)
      expectEncoded(head, /^payment-(response|required):/i)
    }
    const prefix = fc.constantFrom('', 'invalid_exact_evm_payload_')
    await fc.assert(fc.asyncProperty(hostile, prefix, fc.boolean(), run), { numRuns: 12 })
  })

  test('the reason for which it refuses a payment', async () => {
    const run = async (text: string): Promise<void> => {
      facilitatorSays({ isValid: false, invalidReason: text, invalidMessage: text }, {})
      const { status, head } = expectOneAnswer(await bytesOfPaid())
      expect(status).toBe(402)
      expectEncoded(head, /^payment-required:/i)
    }
    await fc.assert(fc.asyncProperty(hostile, run), { numRuns: 12 })
  })
})

describe('of an upstream', () => {
  // What has a line break of its own is two headers before it comes to us.
  const value = hostile.map(text => Buffer.from(text).toString('latin1').replaceAll('\r\n', '\r'))

  test('headers: they are its own, whole, or the answer is not taken', async () => {
    const run = async (name: string, text: string): Promise<void> => {
      answer = `HTTP/1.1 200 OK\r\n${name}: ${text}\r\nContent-Length: 2\r\n\r\nok`
      expect([200, 502]).toContain(expectOneAnswer(await bytesOf('/free')).status)
    }
    const name = fc.oneof(fc.constant('X-A'), value)
    await fc.assert(fc.asyncProperty(name, value, run), { numRuns: 60 })
  })

  test('trailers: they end with their line, or the answer is cut off', async () => {
    const begin =
      'HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n'
    const run = async (text: string): Promise<void> => {
      answer = `${begin}X-A: ${text}\r\n\r\n`
      const bytes = await bytesOf('/free', 'TE: trailers\r\n')
      expectOneAnswer(bytes)
      const [, body = ''] = bytes.split(/\r\n\r\n(.*)/s)
      if (bytes.startsWith('HTTP/1.1 200')) {
        expect(body).toMatch(/^(2\r\nok\r\n)?(0\r\n(X-A: [\t\x20-\x7e\x80-\xff]*\r\n)?\r\n)?$/)
      }
    }
    await fc.assert(fc.asyncProperty(value, run), { numRuns: 60 })
  })
})

describe('of the file', () => {
  const NETWORK = 'base-sepolia: {assets: [{address: "0x4200000000000000000000000000000000000042"'
  const TOKEN = 'decimals: 6, dollarPegged: true, eip712: {name: T, version: "1"}}]}'
  const api = (member: string): string =>
    HEAD.replace('api: "http://localhost:3000"', `api: {url: "http://localhost:3000", ${member}}`)
  const free = (rest: string): string => `${HEAD}routes: {/free: {price: free, ${rest}}}`

  const PLACES: readonly [string, string, (quoted: string) => string][] = [
    ['a redirect elsewhere', '.test/b', text => free(`redirect: {to: "https://a${text.slice(1)}}`)],
    [
      'the host of the public URL',
      '.example',
      text => `${HEAD}server: {publicUrl: "https://a${text.slice(1)}}\nroutes: {/free: free}`,
    ],
    [
      'a header for the upstream',
      'a',
      text => `${api(`headers: {x-a: ${text}}`)}routes: {/a: free}`,
    ],
    [
      'a request header that is set',
      'a',
      text => free(`headers: {request: {set: {x-a: ${text}}}}`),
    ],
    [
      'a response header that is set',
      'a',
      text => free(`headers: {response: {set: {x-a: ${text}}}}`),
    ],
    ['a name of a header', 'x-b', text => free(`headers: {response: {set: {${text}: a}}}`)],
    ['a header of a static answer', 'a', text => free(`respond: {headers: {x-a: ${text}}}`)],
    ['a redirect', '/b', text => free(`redirect: {to: ${text}}`)],
    ['an origin of CORS', 'https://a.example', text => free(`cors: {origins: [${text}]}`)],
    ['a host', 'a.example', text => `${HEAD}server: {hosts: [${text}]}\nroutes: {/free: free}`],
    [
      'a Host for the upstream',
      'a.example',
      text => `${api(`host: ${text}`)}routes: {/free: free}`,
    ],
    [
      'the public URL',
      'https://a.example',
      text => `${HEAD}server: {publicUrl: ${text}}\nroutes: {/free: free}`,
    ],
    [
      'a ticker',
      'T',
      text => `${HEAD}networks: {${NETWORK}, symbol: ${text}, ${TOKEN}}\nroutes: {/free: free}`,
    ],
  ]

  test.each(PLACES)(
    '%s: a value that could end its line is a problem, or made harmless',
    (_, good, place) => {
      const known = new Set(stringsIn(accepted(place(JSON.stringify(good)))))
      fc.assert(
        fc.property(hostile, text => {
          const result = read(place(JSON.stringify(text)))
          if (result.kind === 'invalid') return
          const fresh = stringsIn(result.config).filter(one => !known.has(one))
          expect(fresh.filter(one => !/^[\x20-\x7e]*$/.test(one))).toEqual([])
        }),
        { numRuns: 25 },
      )
    },
  )
})

/** Every name and value of a configuration. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return []
  const parts = value instanceof Map ? [...value] : Object.entries(value)
  return parts.flat().flatMap(stringsIn)
}
