import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { onceSettled } from '../support/facilitator.ts'
import { startTestGateway, startWorld, type TestGateway, type World } from '../support/gateway.ts'
import { codeOf, signFor } from '../support/payments.ts'
import {
  ask,
  type Open,
  type Refused,
  type SocketApi,
  shakeOpen,
  shakeRefused,
  startSocketApi,
} from '../support/socket-api.ts'

const KEY = 'fbk_partner-a-has-this-key'
const SHA256 = createHash('sha256').update(KEY).digest('hex')

let world: World
let api: SocketApi
let gateway: TestGateway
/** Done once the money has moved, and before the gateway knows. */
let afterSettle = async (): Promise<void> => {}
/** The status with which the API refuses handshakes; null: it takes them. */
let refusal: number | null = null

beforeAll(async () => {
  world = await startWorld({ intercept: onceSettled(() => afterSettle()) })
  api = await startSocketApi((_request, socket) => {
    if (refusal === null) return true
    socket.end(`HTTP/1.1 ${refusal} No\r\nContent-Length: 2\r\n\r\nno`)
    return false
  })
}, 60_000)

afterAll(async () => {
  await api.close()
  await world.close()
})

beforeEach(async () => {
  afterSettle = async () => {}
  refusal = null
  await world.startCounting()
})

/** One priced route, `/feed/*`, with what a test adds to it. */
const yamlOf = (policy: string): string => `
server: {listen: "127.0.0.1:0", trustedProxies: [127.0.0.1], hosts: ["*"]}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${world.facilitator.url}"]
upstreams: {feed: {url: "${api.url}"}}
routes:
  GET /feed/*: {price: $0.01, ${policy}}
`

async function open(policy: string): Promise<TestGateway> {
  gateway = await startTestGateway(yamlOf(policy))
  return gateway
}

const urlOf = (path: string): string => `${gateway.url}/feed/${path}`
const sign = (path: string): Promise<string> => signFor(world.chain, urlOf(path))
const paying = (payment: string) => ({ 'PAYMENT-SIGNATURE': payment })
const from = (address: string) => ({ 'x-forwarded-for': address })
const lastState = () => gateway.states().at(-1)
const requestsLogged = () => gateway.logs.filter(({ msg }) => msg === 'request')

/** Opened, used, and left by its client. */
async function useUp(opened: Open): Promise<void> {
  expect(await ask(opened, 'hello')).toBe('hello')
  opened.socket.close()
  await opened.closed
}

/** A payment that has opened a tunnel. */
async function spend(path: string): Promise<string> {
  const payment = await sign(path)
  await useUp(await shakeOpen(urlOf(path), paying(payment)))
  await expect.poll(lastState).toBe('delivered')
  return payment
}

/** What a refused handshake said, and that the API heard nothing of it. */
async function refusalOf(path: string, headers: Record<string, string> = {}): Promise<Refused> {
  const heard = api.handshakes.length
  const refused = await shakeRefused(urlOf(path), headers)
  expect(refused.headers.connection).toBe('close')
  expect(api.handshakes.length).toBe(heard)
  return refused
}

const statusAndCode = ({ status, body }: Refused): unknown[] => [status, JSON.parse(body).code]

describe('a handshake of a client that has a key', () => {
  const policy = `websocket: true, allow: {keys: [{name: partner-a, sha256: "${SHA256}"}], header: x-api-key}`

  test('opens for nothing, and the API learns the name and not the key', async () => {
    await using _ = await open(policy)
    const opened = await shakeOpen(urlOf('key'), { 'x-api-key': KEY })
    expect(opened.headers['payment-response']).toBeUndefined()
    const sent = api.handshakes.at(-1)?.headers
    expect(sent).toMatchObject({ 'farebox-client': 'partner-a', 'farebox-client-type': 'key' })
    expect(sent?.['x-api-key']).toBeUndefined()
    await useUp(opened)
    await expect
      .poll(requestsLogged)
      .toMatchObject([{ outcome: 'allowed', status: 101, client: { name: 'partner-a' } }])
    expect((await refusalOf('key', { 'x-api-key': `${KEY}x` })).status).toBe(402)
  })

  test('is not charged for a payment that comes along, good or used', async () => {
    await using _ = await open(policy)
    const payment = await sign('both')
    const both = { 'x-api-key': KEY, ...paying(payment) }
    await useUp(await shakeOpen(urlOf('both'), both))
    expect([gateway.states(), await world.earned()]).toEqual([[], 0n])
    await useUp(await shakeOpen(urlOf('both'), paying(payment)))
    await expect.poll(lastState).toBe('delivered')
    await useUp(await shakeOpen(urlOf('both'), both))
    expect(statusAndCode(await refusalOf('both', paying(payment)))).toEqual([
      409,
      'payment_already_used',
    ])
    expect(await world.earned()).toBe(10_000n)
  })
})

test('a handshake from a denied network opens nothing, though it is paid for', async () => {
  await using _ = await open('websocket: true, deny: {networks: [10.0.0.0/8]}')
  const payment = await sign('denied')
  const denied = await refusalOf('denied', { ...from('10.1.2.3'), ...paying(payment) })
  expect(statusAndCode(denied)).toEqual([403, 'access_denied'])
  expect(gateway.states()).toEqual([])
  await useUp(await shakeOpen(urlOf('denied'), paying(payment)))
})

describe('a free quota by address', () => {
  const policy = (limits: string) =>
    `websocket: ${limits}, freeQuota: {requests: 2, per: month, by: address}`

  test('opens so many tunnels of an address, and then asks the price', async () => {
    await using _ = await open(policy('true'))
    const left: unknown[] = []
    for (const client of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) {
      const opened = await shakeOpen(urlOf('quota'), from(client))
      left.push(opened.headers['farebox-free-remaining'])
      await useUp(opened)
    }
    expect(left).toEqual(['1', '0', '1'])
    expect((await refusalOf('quota', from('192.0.2.1'))).status).toBe(402)
    const init = { headers: from('192.0.2.1') }
    const payment = await signFor(world.chain, urlOf('quota'), { init })
    const paid = { ...from('192.0.2.1'), ...paying(payment) }
    await useUp(await shakeOpen(urlOf('quota'), paid))
    await expect.poll(lastState).toBe('delivered')
    // A used payment does not turn into a gift, for those who have one left either.
    const again = await refusalOf('quota', { ...from('192.0.2.3'), ...paying(payment) })
    expect(statusAndCode(again)).toEqual([409, 'payment_already_used'])
    expect(await world.earned()).toBe(10_000n)
  })

  test('is not touched by a handshake for which there is no room', async () => {
    await using _ = await open(policy('{maxOpen: 1}'))
    const first = await shakeOpen(urlOf('full'))
    expect(statusAndCode(await refusalOf('full'))).toEqual([503, 'too_many_tunnels'])
    await useUp(first)
    await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ msg: 'websocket closed' })
    const second = await shakeOpen(urlOf('full'))
    expect(second.headers['farebox-free-remaining']).toBe('0')
    await useUp(second)
  })
})

test('a free quota by payer opens for a good payment, leaves it unspent, and then settles it', async () => {
  await using _ = await open('websocket: true, freeQuota: {requests: 1, per: month, by: payer}')
  const payment = await sign('payer')
  const given = await shakeOpen(urlOf('payer'), paying(payment))
  expect(given.headers['payment-response']).toBeUndefined()
  expect(given.headers['farebox-free-remaining']).toBe('0')
  expect(api.handshakes.at(-1)?.headers['farebox-payer']).toBe(buyer.address)
  await useUp(given)
  expect([gateway.states(), await world.earned()]).toEqual([[], 0n])
  const paid = await shakeOpen(urlOf('payer'), paying(payment))
  expect(paid.headers['payment-response']).toBeDefined()
  await useUp(paid)
  await expect.poll(lastState).toBe('delivered')
  expect(statusAndCode(await refusalOf('payer', paying(payment)))).toEqual([
    409,
    'payment_already_used',
  ])
  expect(await world.earned()).toBe(10_000n)
})

describe('in shadow mode', () => {
  const shadows = () => gateway.logs.flatMap(line => line['shadow'] ?? [])

  test('every handshake opens, and a tunnel is what would have been charged', async () => {
    await using _ = await open('websocket: true, mode: shadow')
    const opened = await shakeOpen(urlOf('shadow'))
    expect(Object.keys(opened.headers).filter(name => /payment|farebox/.test(name))).toEqual([])
    await useUp(opened)
    await expect.poll(shadows).toMatchObject([{ amount: '0.01', due: true, payment: 'absent' }])
    refusal = 401
    expect((await shakeRefused(urlOf('shadow'))).status).toBe(401)
    await expect.poll(() => shadows().at(-1)).toMatchObject({ due: false })
  })

  test('a payment is looked at and not used, and one that was used opens, too', async () => {
    await using _ = await open('websocket: true')
    const used = await spend('shadow')
    const rows = gateway.states().length
    const unused = await sign('shadow')
    await gateway.write(yamlOf('websocket: true, mode: shadow'))
    expect(await gateway.reload()).toMatchObject({ kind: 'reloaded' })
    for (const payment of [used, unused]) {
      await useUp(await shakeOpen(urlOf('shadow'), paying(payment)))
      expect(api.handshakes.at(-1)?.headers['payment-signature']).toBeUndefined()
    }
    await expect.poll(shadows).toMatchObject([{ payment: 'passed' }, { payment: 'passed' }])
    expect(gateway.states().length).toBe(rows)
    expect(await world.earned()).toBe(10_000n)
  })
})

describe('a rate limit', () => {
  test('by address counts handshakes, says on the 101 how it stands, and refuses before the price', async () => {
    await using _ = await open('websocket: true, rateLimit: {requests: 2, per: 1m}')
    const payment = await sign('rate')
    const paid = await shakeOpen(urlOf('rate'), { ...from('192.0.2.1'), ...paying(payment) })
    expect(paid.headers.ratelimit).toBe('"address-60s";r=1;t=60')
    await useUp(paid)
    expect((await refusalOf('rate', from('192.0.2.1'))).status).toBe(402)
    const unspent = await sign('rate')
    const over = await refusalOf('rate', { ...from('192.0.2.1'), ...paying(unspent) })
    expect(statusAndCode(over)).toEqual([429, 'rate_limited'])
    expect(Number(over.headers['retry-after'])).toBeGreaterThan(50)
    await useUp(await shakeOpen(urlOf('rate'), { ...from('192.0.2.2'), ...paying(unspent) }))
    expect(await world.earned()).toBe(20_000n)
  })

  test('by payer counts those who pay, and the payment beyond it stays good', async () => {
    await using _ = await open('websocket: true, rateLimit: {requests: 1, per: 1m, by: payer}')
    const [first, second] = [await sign('one'), await sign('two')]
    await useUp(await shakeOpen(urlOf('one'), paying(first)))
    expect(statusAndCode(await refusalOf('two', paying(second)))).toEqual([429, 'rate_limited'])
    expect(gateway.states()).toHaveLength(1)
    expect((await refusalOf('three')).status).toBe(402)
  })
})

describe('paid before the upstream is asked', () => {
  const policy = 'websocket: true, settle: before-upstream'

  test('the money has moved when the API hears of it, once', async () => {
    await using _ = await open(policy)
    const payment = await sign('first')
    const heard = api.handshakes.length
    afterSettle = async () => expect(api.handshakes.length).toBe(heard)
    const opened = await shakeOpen(urlOf('first'), paying(payment))
    expect(opened.headers['payment-response']).toBeDefined()
    await useUp(opened)
    await expect.poll(lastState).toBe('delivered')
    afterSettle = () => Promise.reject(new Error('It was settled again.'))
    expect(statusAndCode(await refusalOf('first', paying(payment)))).toEqual([
      409,
      'payment_already_used',
    ])
    expect(statusAndCode(await refusalOf('other', paying(payment)))).toEqual([
      ...[409, 'payment_for_other_request'],
    ])
    expect(await world.earned()).toBe(10_000n)
  })

  test('a tunnel that the API refused is owed, and the same payment opens it', async () => {
    await using _ = await open(policy)
    const payment = await sign('owed')
    refusal = 503
    const refused = await shakeRefused(urlOf('owed'), paying(payment))
    expect([refused.status, refused.headers['payment-response']]).toEqual([503, expect.anything()])
    await expect.poll(lastState).toBe('settled')
    refusal = null
    await useUp(await shakeOpen(urlOf('owed'), paying(payment)))
    await expect.poll(lastState).toBe('delivered')
    expect(statusAndCode(await refusalOf('owed', paying(payment)))).toEqual([
      409,
      'payment_already_used',
    ])
    expect(await world.earned()).toBe(10_000n)
  })

  test('a tunnel for which the room was taken meanwhile is owed', async () => {
    await using _ = await open('websocket: {maxOpen: 1}, settle: before-upstream')
    const [payment, quicker] = [await sign('room'), await sign('room')]
    let winner: Open | null = null
    afterSettle = async () => {
      afterSettle = async () => {}
      winner = await shakeOpen(urlOf('room'), paying(quicker))
    }
    const late = await shakeRefused(urlOf('room'), paying(payment))
    expect([late.status, late.headers['payment-response']]).toEqual([502, expect.anything()])
    if (winner === null) throw new Error('Nobody came between.')
    await useUp(winner)
    await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ msg: 'websocket closed' })
    await useUp(await shakeOpen(urlOf('room'), paying(payment)))
    expect(await world.earned()).toBe(20_000n)
  })
})

test('a payment that bought a plain answer opens no tunnel', async () => {
  await using _ = await open('websocket: true')
  const payment = await sign('plain')
  const answer = await fetch(urlOf('plain'), { headers: paying(payment) })
  expect([answer.status, await answer.text()]).toEqual([200, 'plain'])
  await expect.poll(lastState).toBe('delivered')
  expect(statusAndCode(await refusalOf('plain', paying(payment)))).toEqual([
    409,
    'payment_already_used',
  ])
  const spent = await spend('tunnel')
  const plain = await fetch(urlOf('tunnel'), { headers: paying(spent) })
  expect([plain.status, await codeOf(plain)]).toEqual([409, 'payment_already_used'])
  expect(await world.earned()).toBe(20_000n)
})
