import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable, Writable } from 'node:stream'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { connectHttp2 } from '../support/http2-client.ts'
import { readChallenge, signChallenge } from '../support/payments.ts'
import { type HeldApi, PROTOCOLS, type Protocol, startHeldApi } from './held-api.ts'

let world: World
let authority: CertificateAuthority
/** What has happened, in its order. */
let order: string[]

beforeAll(async () => {
  authority = await createAuthority()
  world = await startWorld({
    async intercept(operation, next) {
      const answer = await next()
      if (operation === 'settle') order.push('settled')
      return answer
    },
  })
}, 60_000)
afterAll(() => world.close())
beforeEach(() => {
  order = []
})

const CORS = 'cors: {origins: ["https://app.test"]}'
const TRANSFORM = 'headers: {response: {set: {x-shop: farebox}, remove: [server]}}'
const REPLAY = 'replay: {for: 1m, maxBytes: 1MiB}'

interface Kind {
  readonly path: string
  readonly options: string
  /** What shows that the option is at work. */
  readonly shows?: Readonly<Record<string, string>>
  readonly isGzipped?: boolean
}

const KINDS: readonly Kind[] = [
  { path: '/plain', options: '' },
  { path: '/before-upstream', options: ', settle: before-upstream' },
  { path: '/replay', options: `, ${REPLAY}` },
  {
    path: '/cors',
    options: `, ${CORS}`,
    shows: { 'access-control-allow-origin': 'https://app.test' },
  },
  { path: '/headers', options: `, ${TRANSFORM}`, shows: { 'x-shop': 'farebox' } },
  { path: '/gzip', options: '', shows: { 'content-encoding': 'gzip' }, isGzipped: true },
  {
    path: '/all',
    options: `, ${REPLAY}, ${CORS}, ${TRANSFORM}`,
    shows: {
      'access-control-allow-origin': 'https://app.test',
      'x-shop': 'farebox',
      'content-encoding': 'gzip',
    },
    isGzipped: true,
  },
]

describe.each(PROTOCOLS)('events of an upstream over %s', upstream => {
  let api: HeldApi
  let gateway: TestGateway

  beforeAll(async () => {
    const pair = await authority.issue()
    api = await startHeldApi(upstream)
    const routes = KINDS.map(({ path, options }) => `  GET ${path}: {price: $0.001${options}}`)
    const yaml = weatherYaml(
      { facilitator: world.facilitator, api },
      { routes: routes.join('\n'), server: 'tls: {cert: tls.crt, key: tls.key}' },
    ).replace(`url: "${api.url}"`, `url: "${api.url}", http2: ${upstream === 'HTTP/2'}`)
    gateway = await startTestGateway(yaml, {
      async prepare(folder) {
        await writeFile(`${folder}/tls.crt`, pair.cert)
        await writeFile(`${folder}/tls.key`, pair.key)
      },
    })
  })
  afterAll(async () => {
    await gateway?.close()
    await api?.close()
  })

  async function paying(downstream: Protocol, path: string): Promise<Record<string, string>> {
    const unpaid = await ask(downstream, path, {})
    unpaid.end()
    const headers = { 'payment-required': String(unpaid.headers['payment-required']) }
    const challenge = readChallenge(new Response(null, { status: 402, headers }))
    const payment = await signChallenge(world.chain, challenge)
    return { 'payment-signature': payment, origin: 'https://app.test' }
  }

  const ask = (downstream: Protocol, path: string, headers: Record<string, string>) =>
    (downstream === 'HTTP/2' ? askHttp2 : askHttp1)(gateway.url + path, headers)

  async function askHttp1(url: string, headers: Record<string, string>): Promise<Answer> {
    const request = httpsRequest(url, { ca: authority.cert, agent: false, headers })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage] // what it emits
    return new Answer(response.headers, response, () => response.destroy())
  }

  async function askHttp2(url: string, headers: Record<string, string>): Promise<Answer> {
    const session = await connectHttp2(url, { ca: authority.cert })
    const stream = session.request({ ':path': new URL(url).pathname, ...headers })
    const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders] // what it emits
    return new Answer(fields, stream, () => session.destroy())
  }

  describe.each(PROTOCOLS)('to a client over %s', downstream => {
    test.each(KINDS)(
      '$path: each is on the wire before the next is written, the first one once it is settled',
      async kind => {
        const payment = await paying(downstream, kind.path)
        const answered = ask(downstream, kind.path, payment)
        const events = encoderTo((await api.next()).begin(200, headOf(kind)), kind)
        events.write(event(1))
        const answer = await answered
        expect(await answer.nextEvent()).toBe(event(1))
        order.push('first event read')
        for (const number of [2, 3, 4]) {
          order.push(`event ${number} written`)
          events.write(event(number))
          expect(await answer.nextEvent()).toBe(event(number))
        }
        events.end()
        expect(await answer.nextEvent()).toBeNull()
        answer.end()
        expect(order.slice(0, 3)).toEqual(['settled', 'first event read', 'event 2 written'])
        expect(answer.headers).toMatchObject({ ...kind.shows })
        expect(answer.headers['payment-response']).toBeDefined()
        await expect.poll(() => gateway.states().at(-1)).toBe('delivered')
        if (kind.options.includes('replay')) await expectReplayed(downstream, kind.path, payment)
      },
    )

    test.each(KINDS)('$path: the head is, before the first one is written', async kind => {
      const answered = ask(downstream, kind.path, await paying(downstream, kind.path))
      const events = encoderTo((await api.next()).begin(200, headOf(kind)), kind)
      const answer = await answered
      expect(answer.headers['payment-response']).toBeDefined()
      events.write(event(1))
      expect(await answer.nextEvent()).toBe(event(1))
      events.end()
      expect(await answer.nextEvent()).toBeNull()
      answer.end()
    })
  })

  async function expectReplayed(
    downstream: Protocol,
    path: string,
    payment: Record<string, string>,
  ): Promise<void> {
    const again = await ask(downstream, path, payment)
    expect(again.headers['farebox-replayed']).toBe('true')
    expect(await again.nextEvent()).toBe(event(1))
    again.end()
  }
})

const event = (number: number): string => `id: ${number}\ndata: some text\n\n`

function headOf({ isGzipped }: Kind): Record<string, string> {
  const encoding = isGzipped ? { 'content-encoding': 'gzip' } : {}
  return { 'content-type': 'text/event-stream', server: 'api', ...encoding }
}

/** As an API compresses a stream: each event is flushed, so that a client can read it. */
function encoderTo(body: Writable, { isGzipped }: Kind): Writable {
  if (!isGzipped) return body
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
  gzip.pipe(body)
  return gzip
}

/** What a client has of an answer so far. */
class Answer {
  readonly headers: IncomingHttpHeaders
  readonly end: () => void
  readonly #pieces: AsyncIterator<Buffer>
  #text = ''

  constructor(headers: IncomingHttpHeaders, body: Readable, end: () => void) {
    this.headers = headers
    this.end = end
    body.on('error', () => {})
    const isGzipped = headers['content-encoding'] === 'gzip'
    this.#pieces = (isGzipped ? body.pipe(createGunzip()) : body)[Symbol.asyncIterator]()
  }

  /** Null after the last one. */
  async nextEvent(): Promise<string | null> {
    for (;;) {
      const end = this.#text.indexOf('\n\n')
      if (end !== -1) {
        const found = this.#text.slice(0, end + 2)
        this.#text = this.#text.slice(end + 2)
        return found
      }
      const { value, done } = await this.#pieces.next()
      if (done) return null
      this.#text += value
    }
  }
}
