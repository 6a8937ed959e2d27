import { z } from 'zod'
import type { Chain } from '../support/chain.ts'
import { signChallenge } from '../support/payments.ts'
import {
  connectRaw,
  type RawClient,
  type RawHead,
  type RawResponse,
  valuesOf,
} from '../support/raw-client.ts'
import { FACES, type Face, originOf, PRICE } from './faces.ts'

/** Where a caller calls. */
export interface Counter {
  readonly url: string
  readonly chain: Chain
}

/** One visit over a connection that is kept. Rejects with whatever is not as it must be. */
export type Caller = (client: RawClient, counter: Counter) => Promise<void>

/** Something that a gateway must never do. */
export class Violation extends Error {}

export const CALLERS = {
  free: async client => {
    checkServed(await askFor(client, '/face'))
  },
  unpaid: async client => {
    readOffer(await askFor(client, '/paid'))
  },
  upload: async client => {
    const body = '3\r\nabc\r\n0\r\n\r\n'
    send(client, '/face', { method: 'POST', headers: 'Transfer-Encoding: chunked\r\n', body })
    checkServed(await client.read())
  },
  paid: (client, counter) => buy(client, counter, '/paid'),
  upFront: (client, counter) => buy(client, counter, '/up-front'),
  events: async client => {
    checkStream(await askFor(client, '/events'))
  },
  paidEvents: (client, counter) => buy(client, counter, '/paid/events'),
} as const satisfies Record<string, Caller>

/** What no client should do. Each takes a connection of its own, and the gateway must survive it. */
export const NUISANCES = {
  /** Leaves in the middle of a stream. */
  leaves: async ({ url }) => {
    const client = await connectRaw(url)
    send(client, '/events')
    await client.readHead()
    client.destroy()
  },
  /** Pays for a stream, and leaves in the middle of it. */
  leavesWhatItPaid: async counter => {
    const client = await connectRaw(counter.url)
    send(client, '/paid/events', { headers: await pay(client, counter, '/paid/events') })
    await client.readHead()
    client.destroy()
  },
  breaksOffItsUpload: async ({ url }) => {
    const client = await connectRaw(url)
    send(client, '/face', { method: 'POST', headers: 'Content-Length: 1000\r\n', body: 'abc' })
    await new Promise(resolve => setImmediate(resolve))
    client.destroy()
  },
  speaksNoHttp: async ({ url }) => {
    const client = await connectRaw(url)
    client.send('GET / HTTP/1.1\r\nHost: a\r\nBad Header : 1\r\n\r\n')
    expectStatus(await client.read(), 400)
    await client.closed
  },
  paysWithJunk: async ({ url }) => {
    const client = await connectRaw(url)
    send(client, '/paid', { headers: 'PAYMENT-SIGNATURE: bm8=\r\n' })
    // Once there has been too much of it from here, nobody looks at it any more.
    expectStatus(await client.read(), 400, 429)
    client.destroy()
  },
} as const satisfies Record<string, (counter: Counter) => Promise<void>>

interface Sent {
  readonly method?: string
  /** Lines, each with its end. */
  readonly headers?: string
  readonly body?: string
}

function send(client: RawClient, path: string, sent: Sent = {}): void {
  const { method = 'GET', headers = '', body = '' } = sent
  const fixed = `Host: api.example.com\r\nOrigin: ${originOf('red')}\r\n`
  client.send(`${method} ${path} HTTP/1.1\r\n${fixed}${headers}\r\n${body}`)
}

function askFor(client: RawClient, path: string, sent?: Sent): Promise<RawResponse> {
  send(client, path, sent)
  return client.read()
}

async function buy(client: RawClient, counter: Counter, path: string): Promise<void> {
  const headers = await pay(client, counter, path)
  const response = await askFor(client, path, { headers })
  if (path.endsWith('events')) checkStream(response)
  else checkServed(response)
  if (valuesOf(response, 'payment-response').length !== 1) throw violation('no receipt', response)
}

/** Asks for the price and signs for it: the header that pays. */
async function pay(client: RawClient, { chain }: Counter, path: string): Promise<string> {
  const challenge = readOffer(await askFor(client, path))
  return `PAYMENT-SIGNATURE: ${await signChallenge(chain, challenge)}\r\n`
}

const saidSchema = z.object({
  api: z.enum(FACES),
  told: z.enum(FACES),
  amount: z.string().nullable(),
})

function checkServed(response: RawResponse): void {
  expectStatus(response, 200)
  checkFace(response, String(response.body))
}

function checkStream(response: RawResponse): void {
  expectStatus(response, 200)
  const events = [...String(response.body).matchAll(/data: (.*)\n\n/g)]
  if (events.length !== 5) throw violation('a stream that is not whole', response)
  for (const [, said = ''] of events) checkFace(response, said)
}

/** The API, what the gateway told it, and the CORS headers must all be of one configuration. */
function checkFace(response: RawResponse, text: string): void {
  const said = saidSchema.parse(JSON.parse(text))
  if (said.api !== said.told || said.api !== corsFace(response)) {
    throw violation('two configurations in one response', response)
  }
}

/** Only one of the two lets pages of red.example read its responses. */
function corsFace(head: RawHead): Face {
  return valuesOf(head, 'access-control-allow-origin').length > 0 ? 'red' : 'blue'
}

const offerSchema = z.object({
  error: z.string(),
  resource: z.object({ url: z.string(), description: z.enum(FACES) }),
  accepts: z.array(
    z.object({
      ...{ scheme: z.string(), network: z.string(), amount: z.string(), asset: z.string() },
      payTo: z.string().transform(text => text as `0x${string}`), // EVM only here
      maxTimeoutSeconds: z.number(),
      extra: z.record(z.string(), z.unknown()),
    }),
  ),
})

function readOffer(response: RawResponse): z.output<typeof offerSchema> {
  expectStatus(response, 402)
  const [encoded = ''] = valuesOf(response, 'payment-required')
  const challenge = offerSchema.parse(JSON.parse(Buffer.from(encoded, 'base64').toString()))
  const face = challenge.resource.description
  if (challenge.accepts[0]?.amount !== PRICE[face] || face !== corsFace(response)) {
    throw violation('two configurations in one challenge', response)
  }
  return challenge
}

function expectStatus(response: RawResponse, ...statuses: readonly number[]): void {
  if (!statuses.includes(response.status)) {
    throw violation(`${statuses.join(' or ')} expected`, response)
  }
}

function violation(what: string, { status, rawHeaders, body }: RawResponse): Violation {
  return new Violation(
    `${what}: ${status}\n${rawHeaders.join('\n')}\n${String(body).slice(0, 500)}`,
  )
}
