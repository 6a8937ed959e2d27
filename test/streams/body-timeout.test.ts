import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { onceSettled } from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { signFor } from '../support/payments.ts'
import { CutShortError, connectRaw, type RawClient, valuesOf } from '../support/raw-client.ts'
import { type Held, type HeldApi, PROTOCOLS, startHeldApi } from './held-api.ts'

const PRICE = 1_000n

let world: World
/** Done once the money has moved, and before the gateway knows. */
let afterSettle = async (): Promise<void> => {}

beforeAll(async () => {
  world = await startWorld({ intercept: onceSettled(() => afterSettle()) })
}, 60_000)
afterAll(() => world.close())
beforeEach(async () => {
  afterSettle = async () => {}
  await world.startCounting()
})

describe.each(PROTOCOLS)('an upstream over %s that falls silent in its body', protocol => {
  let api: HeldApi
  let gateway: TestGateway

  beforeAll(async () => {
    api = await startHeldApi(protocol)
    const routes = `
  /free: free
  GET /first: {price: $0.001, settle: before-upstream}
  GET /after: $0.001`
    const yaml = weatherYaml({ facilitator: world.facilitator, api }, { routes })
    const upstream = `{url: "${api.url}", bodyTimeout: 500ms, http2: ${protocol === 'HTTP/2'}}`
    gateway = await startTestGateway(yaml.replace(`{url: "${api.url}"}`, upstream))
  })
  afterAll(async () => {
    await gateway?.close()
    await api?.close()
  })

  async function ask(path: string, payment?: string): Promise<RawClient> {
    const client = await connectRaw(gateway.url)
    const paying = payment === undefined ? '' : `PAYMENT-SIGNATURE: ${payment}\r\n`
    client.send(`GET ${path} HTTP/1.1\r\nHost: ${new URL(gateway.url).host}\r\n${paying}\r\n`)
    return client
  }

  const sign = (path: string): Promise<string> => signFor(world.chain, gateway.url + path)
  const lastState = () => gateway.states().at(-1)

  /** The connection ends where more was due: bytes, or the last chunk, which says that it is all. */
  async function expectCut(client: RawClient): Promise<void> {
    await expect(client.readBytes(1)).rejects.toThrow(CutShortError)
  }

  /** It was charged once, and the same payment gets the whole of it. */
  async function expectOwed(path: string, payment: string): Promise<void> {
    await expect.poll(lastState).toBe('settled')
    const again = await ask(path, payment)
    ;(await api.next()).begin().end('whole')
    const { status, body, rawHeaders } = await again.read()
    expect([status, String(body)]).toEqual([200, 'whole'])
    expect(valuesOf({ rawHeaders }, 'payment-response')).toHaveLength(1)
    again.destroy()
    await expect.poll(lastState).toBe('delivered')
    expect(await world.earned()).toBe(PRICE)
  }

  /** Resolves when a body that is silent from now on has been given up. */
  async function untilSilenceEnds(): Promise<void> {
    const client = await ask('/free')
    const { begin, closed } = await api.next()
    begin()
    await closed
    client.destroy()
  }

  test.each(['/after', '/first'])(
    'after the settlement (%s): charged, what came is passed on, and the payment is good for the whole',
    async path => {
      const payment = await sign(path)
      const client = await ask(path, payment)
      const { begin, closed } = await api.next()
      begin().write('part')
      const head = await client.readHead()
      expect([head.status, valuesOf(head, 'payment-response').length]).toEqual([200, 1])
      expect(String(await client.readChunk())).toBe('part')
      await closed
      await expectCut(client)
      await expectOwed(path, payment)
    },
  )

  test.each([{}, { 'content-length': '100' }])(
    'while its settlement runs: charged, the receipt is passed on, and the payment is good for the whole (%o)',
    async headers => {
      const payment = await sign('/after')
      const asked = Promise.withResolvers<Held>()
      afterSettle = async () => (await asked.promise).closed
      const client = await ask('/after', payment)
      const held = await api.next()
      held.begin(200, headers)
      asked.resolve(held)
      const head = await client.readHead()
      expect([head.status, valuesOf(head, 'payment-response').length]).toEqual([200, 1])
      await expectCut(client)
      await expectOwed('/after', payment)
    },
  )

  test('with an answer that is not billable: not charged', async () => {
    const client = await ask('/after', await sign('/after'))
    const { begin, closed } = await api.next()
    begin(500).write('part')
    const head = await client.readHead()
    expect([head.status, valuesOf(head, 'payment-response')]).toEqual([500, []])
    expect(String(await client.readChunk())).toBe('part')
    await closed
    await expectCut(client)
    expect([lastState(), await world.earned()]).toEqual(['released', 0n])
  })

  test('is not one whose first bytes wait for a settlement that takes longer', async () => {
    const payment = await sign('/after')
    afterSettle = untilSilenceEnds
    const client = await ask('/after', payment)
    const body = (await api.next()).begin()
    body.write('first ')
    const head = await client.readHead()
    expect([head.status, String(await client.readChunk())]).toEqual([200, 'first '])
    body.end('last')
    expect(String(await client.readChunk())).toBe('last')
    expect(await client.readChunk()).toBeNull()
    client.destroy()
    await expect.poll(lastState).toBe('delivered')
    expect(await world.earned()).toBe(PRICE)
  })

  test('is not one whose reader takes longer, and is one again afterwards', async () => {
    const client = await ask('/free')
    const { begin, closed } = await api.next()
    const body = begin()
    // More than all that sits between the two of them can hold.
    const pieces = 512
    Readable.from(repeat(PIECE, pieces)).pipe(body, { end: false })
    await client.readHead()
    await untilSilenceEnds()
    for (let received = 0; received < pieces * PIECE.length; ) {
      received += (await client.readChunk())?.length ?? 0
    }
    await closed
    await expectCut(client)
  })
})

const PIECE = Buffer.alloc(64 * 1024)

function* repeat<T>(piece: T, times: number): Generator<T> {
  for (let sent = 0; sent < times; sent++) yield piece
}
