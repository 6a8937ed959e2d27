import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startGateway } from '../../src/gateway.ts'
import { buyer, seller } from '../support/accounts.ts'
import { startTestGateway, startWorld, type TestGateway, type World } from '../support/gateway.ts'
import { codeOf, pay, readReceipt, readRows, signFor } from '../support/payments.ts'
import { connectRaw } from '../support/raw-client.ts'
import { lockStore } from '../support/store-faults.ts'

let answer: (response: ServerResponse, request: IncomingMessage) => void
let seen: IncomingMessage[]
let world: World
let gateway: TestGateway
let earnedBefore: bigint

const upstream = createServer((incoming, response) => {
  seen.push(incoming)
  answer(response, incoming)
})

beforeAll(async () => {
  world = await startWorld()
  await world.chain.mint(buyer.address, 1_000_000_000n)
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  upstream.close()
  upstream.closeAllConnections()
  await world.close()
})

beforeEach(async () => {
  seen = []
  answer = response => response.end('content')
  earnedBefore = await world.chain.balanceOf(seller.address)
  gateway = await startTestGateway(`
server: {listen: "127.0.0.1:0", publicUrl: "https://api.example.com", hosts: ["*"]}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${world.facilitator.url}"]
upstreams: {shop: {url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}"}}
routes:
  /kept/{thing}: {price: $0.001, replay: {}, cors: {origins: ["*"]}}
  /short/{thing}: {price: $0.001, replay: {maxBytes: 10B}}
  /soon-gone/{thing}: {price: $0.001, replay: {for: 1ms}}
  /up-front/{thing}: {price: $0.001, replay: {}, settle: before-upstream, timeout: 5s}
  /plain/{thing}: {price: $0.001}`)
})

afterEach(() => gateway.close())

const states = (): string[] => readRows(gateway.storeFile).map(({ state }) => state)
const earned = async (): Promise<bigint> =>
  (await world.chain.balanceOf(seller.address)) - earnedBefore

/** As an honest client does: again and again while its first request is in progress. */
async function payPatiently(url: string, payment: string): Promise<Response> {
  for (;;) {
    const reply = await pay(url, payment)
    if (reply.headers.get('retry-after') === null) return reply
    expect(await codeOf(reply)).toBe('payment_in_progress')
  }
}

/** Buys, and leaves in the middle of the body. */
async function buyAndLeave(url: string, payment: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const asked = request(url, { headers: { 'PAYMENT-SIGNATURE': payment } }, response => {
      response.once('data', () => {
        response.destroy()
        resolve()
      })
    })
    asked.once('error', reject)
    asked.end()
  })
}

describe('a response that was delivered', () => {
  test('is given again to the same payment, with its receipt and a sign of it', async () => {
    answer = response => {
      response.writeHead(201, {
        'content-type': 'text/plain',
        'cache-control': 'public, max-age=9',
      })
      response.end('made once')
    }
    const url = `${gateway.url}/kept/x`
    const payment = await signFor(world.chain, url)
    const paid = await pay(url, payment)
    expect([paid.status, await paid.text()]).toEqual([201, 'made once'])
    expect(paid.headers.get('farebox-replayed')).toBeNull()
    const origin = { headers: { origin: 'https://shop.example' } }
    const again = await pay(url, payment, origin)
    expect([again.status, await again.text()]).toEqual([201, 'made once'])
    expect(again.headers.get('farebox-replayed')).toBe('true')
    expect(again.headers.get('access-control-expose-headers')).toContain('Farebox-Replayed')
    expect(again.headers.get('content-type')).toBe('text/plain')
    expect(again.headers.get('cache-control')).toBe('private, max-age=9')
    expect(readReceipt(again)).toEqual(readReceipt(paid))
    expect(seen).toHaveLength(1)
    expect(await earned()).toBe(1_000n)
    await expect.poll(states).toEqual(['delivered'])
  })

  test('is given again in the protocol version that asks', async () => {
    const url = `${gateway.url}/kept/x`
    const payment = await signFor(world.chain, url)
    await (await pay(url, payment)).text()
    const { payload } = JSON.parse(Buffer.from(payment, 'base64').toString())
    const inV1 = { x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload }
    const header = Buffer.from(JSON.stringify(inV1)).toString('base64')
    const again = await fetch(url, { headers: { 'X-PAYMENT': header } })
    expect(again.headers.get('farebox-replayed')).toBe('true')
    expect(again.headers.get('payment-response')).toBeNull()
    expect(readReceipt(again)).toMatchObject({ success: true, network: 'base-sepolia' })
  })

  test('keeps its trailers, its repeated headers and its bytes', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    answer = response => {
      response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Trailer', 'X-Sum'])
      response.write(body.subarray(0, 100))
      response.addTrailers({ 'X-Sum': '32640' })
      response.end(body.subarray(100))
    }
    const url = `${gateway.url}/kept/x`
    const payment = await signFor(world.chain, url)
    const ask = async () => {
      const client = await connectRaw(gateway.url)
      client.send(`GET /kept/x HTTP/1.1\r\nHost: x\r\nPAYMENT-SIGNATURE: ${payment}\r\n\r\n`)
      const { status, body, trailers, rawHeaders } = await client.read()
      client.destroy()
      const cookies = rawHeaders.filter(
        (_, at) => rawHeaders[at - 1]?.toLowerCase() === 'set-cookie',
      )
      return { status, body, trailers, cookies }
    }
    const first = await ask()
    expect(first).toEqual({
      ...{ status: 200, body, trailers: ['X-Sum', '32640'], cookies: ['a=1', 'b=2'] },
    })
    expect(await ask()).toEqual(first)
    expect(seen).toHaveLength(1)
  })

  test('to HEAD tells the length of what it did not send, again', async () => {
    answer = response => response.writeHead(200, { 'content-length': '1234' }).end()
    const url = `${gateway.url}/kept/x`
    const payment = await signFor(world.chain, url)
    for (const replayed of [null, 'true']) {
      const reply = await pay(url, payment, { method: 'HEAD' })
      expect(reply.headers.get('farebox-replayed')).toBe(replayed)
      expect(reply.headers.get('content-length')).toBe('1234')
    }
  })

  test('is not given to another request, nor to a stranger with the public signature', async () => {
    const url = `${gateway.url}/kept/mine`
    const payment = await signFor(world.chain, url)
    answer = response => response.writeHead(200, { vary: 'X-Tenant' }).end('for me')
    const asMe = { headers: { authorization: 'Bearer mine', 'x-tenant': '7' } }
    expect(await (await pay(url, payment, asMe)).text()).toBe('for me')
    for (const headers of [{}, { authorization: 'Bearer mine' }, { 'x-tenant': '7' }]) {
      const stranger = await pay(url, payment, { headers })
      expect([stranger.status, await codeOf(stranger)]).toEqual([409, 'payment_for_other_request'])
      expect(readReceipt(stranger)).toBeNull()
    }
    const elsewhere = await pay(`${gateway.url}/kept/other`, payment, asMe)
    expect(await codeOf(elsewhere)).toBe('payment_for_other_request')
    expect(await (await pay(url, payment, asMe)).text()).toBe('for me')
    expect(seen).toHaveLength(1)
  })

  test.each([
    ['that says how long it is', { 'content-length': '11' }],
    ['of unknown length', {}],
  ])('%s and is too long behaves as without replay', async (_name, headers) => {
    answer = response => response.writeHead(200, headers).end('01234567890')
    const url = `${gateway.url}/short/x`
    const payment = await signFor(world.chain, url)
    expect(await (await pay(url, payment)).text()).toBe('01234567890')
    expect(await codeOf(await pay(url, payment))).toBe('payment_already_used')
  })

  test.each([
    ['at its limit', '/short/x', '0123456789', 'true'],
    ['that is empty', '/short/x', '', 'true'],
    ['whose time is over', '/soon-gone/x', 'content', null],
    ['of a route without replay', '/plain/x', 'content', null],
  ])('%s', async (_name, path, content, replayed) => {
    answer = response => response.end(content)
    const payment = await signFor(world.chain, gateway.url + path)
    expect(await (await pay(gateway.url + path, payment)).text()).toBe(content)
    const again = await pay(gateway.url + path, payment)
    expect(again.headers.get('farebox-replayed')).toBe(replayed)
    if (replayed === 'true') expect(await again.text()).toBe(content)
    else expect(await codeOf(again)).toBe('payment_already_used')
  })

  test('survives the gateway, and is there for others on the same store', async () => {
    const payment = await signFor(world.chain, `${gateway.url}/kept/x`)
    await (await pay(`${gateway.url}/kept/x`, payment)).text()
    const successor = await startGateway({ configFile: gateway.configFile })
    const again = await pay(`${successor.url}/kept/x`, payment)
    expect([again.status, await again.text()]).toEqual([200, 'content'])
    await successor.close()
    expect(seen).toHaveLength(1)
  })
})

test('events pass as they come while they are gathered', async () => {
  const first = Promise.withResolvers<void>()
  answer = response => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    void first.promise.then(() => response.end('data: 2\n\n'))
  }
  const url = `${gateway.url}/kept/stream`
  const payment = await signFor(world.chain, url)
  const reply = await pay(url, payment)
  const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader?.read())?.value).toBe('data: 1\n\n')
  first.resolve()
  expect((await reader?.read())?.value).toBe('data: 2\n\n')
  expect((await reader?.read())?.done).toBe(true)
  expect(await (await pay(url, payment)).text()).toBe('data: 1\n\ndata: 2\n\n')
})

test('a client that leaves in the middle gets the whole when it comes back, made once', async () => {
  const left = Promise.withResolvers<void>()
  answer = response => {
    response.write('first half,')
    void left.promise.then(() => response.end(' second half'))
  }
  const url = `${gateway.url}/kept/x`
  const payment = await signFor(world.chain, url)
  await buyAndLeave(url, payment)
  left.resolve()
  const again = await payPatiently(url, payment)
  expect(await again.text()).toBe('first half, second half')
  expect(again.headers.get('farebox-replayed')).toBe('true')
  expect(seen).toHaveLength(1)
  expect(await earned()).toBe(1_000n)
  await expect.poll(states).toEqual(['delivered'])
})

test('work that is paid up front goes on without its client, and waits for it', async () => {
  const asked = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  answer = response => {
    asked.resolve()
    void left.promise.then(() => response.end('costly'))
  }
  const url = `${gateway.url}/up-front/x`
  const payment = await signFor(world.chain, url)
  const leaving = new AbortController()
  const reply = pay(url, payment, { signal: leaving.signal }).catch(() => 'left')
  await asked.promise
  leaving.abort()
  expect(await reply).toBe('left')
  left.resolve()
  const again = await payPatiently(url, payment)
  expect([again.headers.get('farebox-replayed'), await again.text()]).toEqual(['true', 'costly'])
  expect(seen).toHaveLength(1)
})

test('an upstream that breaks is asked again, and what it then sends is kept', async () => {
  answer = response => response.write('part', () => response.destroy())
  const url = `${gateway.url}/kept/x`
  const payment = await signFor(world.chain, url)
  await expect(pay(url, payment).then(reply => reply.text())).rejects.toThrow()
  answer = response => response.end('whole')
  for (const replayed of [null, 'true']) {
    const reply = await pay(url, payment)
    expect([await reply.text(), reply.headers.get('farebox-replayed')]).toEqual(['whole', replayed])
  }
  const keys = seen.map(({ headers }) => headers['idempotency-key'])
  expect(keys).toEqual([seen[0]?.headers['farebox-payment-id'], keys[0]])
  expect(await earned()).toBe(1_000n)
})

test('a store that is down when a response is kept does not keep it from the client', async () => {
  const locked = Promise.withResolvers<void>()
  answer = response => {
    response.writeHead(200, { 'content-length': '12' }).write('first,')
    void locked.promise.then(() => response.end('second'))
  }
  const url = `${gateway.url}/kept/x`
  const payment = await signFor(world.chain, url)
  const reply = await pay(url, payment)
  const unlock = await lockStore(gateway.storeFile)
  locked.resolve()
  expect(await reply.text()).toBe('first,second')
  await unlock()
  await expect.poll(() => JSON.stringify(gateway.logs)).toContain('store_unavailable')
})

test.each(['on-response', 'before-upstream'])('Idempotency-Key: %s', async settle => {
  const url = `${gateway.url}/${settle === 'on-response' ? 'plain' : 'up-front'}/x`
  await (await pay(url, await signFor(world.chain, url))).text()
  const [ours] = seen
  expect(ours?.headers['idempotency-key']).toBe(ours?.headers['farebox-payment-id'])
  expect(ours?.headers['idempotency-key']).toMatch(/^[\w-]{22}$/)
  const theirs = { headers: { 'idempotency-key': 'order 17' } }
  await (await pay(url, await signFor(world.chain, url), theirs)).text()
  expect(seen[1]?.headers['idempotency-key']).toBe('order 17')
})
