import { createServer, get, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'
import { lockStore } from '../support/store-faults.ts'

/** An upstream whose next answer a test decides. */
let answer: (response: ServerResponse) => void
let executions: number
let upstream: Server
let world: World
let gateway: TestGateway

beforeAll(async () => {
  world = await startWorld()
  upstream = createServer((_request, response) => {
    executions++
    answer(response)
  })
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  upstream.close()
  upstream.closeAllConnections()
  await world.close()
})

beforeEach(async () => {
  executions = 0
  answer = response => response.end('content')
  await world.startCounting()
  const api = { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` }
  const routes = `
  GET /up-front/{thing}: {price: $0.001, settle: before-upstream, timeout: 500ms}
  GET /after/{thing}: {price: $0.001, timeout: 500ms}
  GET /only-ok: {price: $0.001, billable: ["200"]}`
  gateway = await startTestGateway(weatherYaml({ facilitator: world.facilitator, api }, { routes }))
})

afterEach(() => gateway.close())

describe('settle: on-response', () => {
  test.each<[string, (response: ServerResponse) => void, number, string]>([
    ['an upstream that hangs up', response => response.destroy(), 502, 'upstream_unreachable'],
    ['an upstream that never answers', () => {}, 504, 'upstream_timeout'],
  ])('%s costs nothing', async (_name, misbehave, status, code) => {
    const url = `${gateway.url}/after/x`
    const payment = await signFor(world.chain, url)
    answer = misbehave
    const failed = await pay(url, payment)
    expect([failed.status, await codeOf(failed)]).toEqual([status, code])
    expect(gateway.states()).toEqual(['released'])
    expect(await world.earned()).toBe(0n)

    answer = response => response.end('content')
    const paid = await pay(url, payment)
    expect(await paid.text()).toBe('content')
    expect(await world.earned()).toBe(1_000n)
  })

  test('a status that is not billable is passed on, free of charge', async () => {
    const url = `${gateway.url}/only-ok`
    answer = response => response.writeHead(304).end()
    const reply = await pay(url, await signFor(world.chain, url))
    expect(reply.status).toBe(304)
    expect(readReceipt(reply)).toBeNull()
    expect(gateway.states()).toEqual(['released'])
  })

  test('a client that leaves before the settlement is not charged, and the upstream stops', async () => {
    const url = `${gateway.url}/after/x`
    const payment = await signFor(world.chain, url)
    const stopped = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    answer = response => {
      response.once('close', stopped.resolve)
      asked.resolve()
    }
    const leaving = new AbortController()
    const reply = pay(url, payment, { signal: leaving.signal }).catch(() => 'left')
    await asked.promise
    leaving.abort()
    expect(await reply).toBe('left')
    await stopped.promise
    await expect.poll(gateway.states).toEqual(['released'])
    expect(await world.earned()).toBe(0n)
  })

  test('a client that leaves in the middle of a paid stream redeems it with the same payment', async () => {
    const url = `${gateway.url}/after/stream`
    const payment = await signFor(world.chain, url)
    const upstreamStopped = Promise.withResolvers<void>()
    answer = response => {
      response.once('close', upstreamStopped.resolve)
      response.write('first half,')
    }
    await new Promise<void>((resolve, reject) => {
      const request = get(url, { headers: { 'PAYMENT-SIGNATURE': payment } }, response => {
        response.once('data', () => {
          response.destroy()
          resolve()
        })
      })
      request.once('error', reject)
    })
    await upstreamStopped.promise
    expect(await world.earned()).toBe(1_000n)

    answer = response => response.end('first half, second half')
    const again = await pay(url, payment)
    expect(await again.text()).toBe('first half, second half')
    expect(readReceipt(again)).toMatchObject({ success: true })
    expect(await world.earned()).toBe(1_000n)
    await expect.poll(gateway.states).toEqual(['delivered'])
  })

  test('an upstream that breaks in the middle ends the connection, and the same payment redeems', async () => {
    const url = `${gateway.url}/after/broken`
    const payment = await signFor(world.chain, url)
    answer = response => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('part', () => response.destroy())
    }
    const broken = await pay(url, payment)
    await expect(broken.text()).rejects.toThrow()

    answer = response => response.end('whole')
    const again = await pay(url, payment)
    expect(await again.text()).toBe('whole')
    expect(await world.earned()).toBe(1_000n)
  })
})

describe('a store that is away when a response ends', () => {
  test('hears of the delivery when it is back, and the payment buys nothing more', async () => {
    const url = `${gateway.url}/after/stream`
    const payment = await signFor(world.chain, url)
    const halfway = Promise.withResolvers<ServerResponse>()
    answer = response => response.write('first half,', () => halfway.resolve(response))
    const reply = await pay(url, payment)
    const unlock = await lockStore(gateway.storeFile)
    ;(await halfway.promise).end(' second half')
    expect(await reply.text()).toBe('first half, second half')
    const refusals = () => gateway.logs.filter(({ msg }) => msg === 'error')
    await expect.poll(refusals).not.toEqual([])
    await unlock()
    await expect.poll(gateway.states).toEqual(['delivered'])
    const again = await pay(url, payment)
    expect(await codeOf(again)).toBe('payment_already_used')
    expect([executions, await world.earned()]).toEqual([1, 1_000n])
  }, 30_000)
})

describe('settle: before-upstream', () => {
  test('settles before the upstream hears of the request, and says so in the challenge', async () => {
    const url = `${gateway.url}/up-front/x`
    let earnedWhenAsked: bigint | null = null
    answer = response => {
      void world.earned().then(amount => {
        earnedWhenAsked = amount
        response.end('content')
      })
    }
    const unpaid = await fetch(url)
    const header = Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64')
    expect(JSON.parse(header.toString()).accepts[0].extra.paymentFlow).toBe('upfront')
    const paid = await pay(url, await signFor(world.chain, url))
    expect(await paid.text()).toBe('content')
    expect(earnedWhenAsked).toBe(1_000n)
  })

  test('a refused payment is refused before anything is written', async () => {
    const url = `${gateway.url}/up-front/x`
    const { generatePrivateKey, privateKeyToAccount } = await import('viem/accounts')
    const signer = privateKeyToAccount(generatePrivateKey())
    const refused = await pay(url, await signFor(world.chain, url, { signer }))
    expect(refused.status).toBe(402)
    expect(gateway.states()).toEqual([])
    expect(executions).toBe(0)
  })

  test.each<[string, (response: ServerResponse) => void, number]>([
    ['hangs up', response => response.destroy(), 502],
    ['never answers', () => {}, 504],
    ['answers 500', response => response.writeHead(500).end('broken'), 500],
  ])(
    'an upstream that %s leaves an entitlement that the same payment redeems',
    async (_name, misbehave, status) => {
      const url = `${gateway.url}/up-front/x`
      const payment = await signFor(world.chain, url)
      answer = misbehave
      const failed = await pay(url, payment)
      expect(failed.status).toBe(status)
      expect(readReceipt(failed)).toMatchObject({ success: true })
      await failed.text()
      expect(await world.earned()).toBe(1_000n)

      answer = response => response.end('content')
      const redeemed = await pay(url, payment)
      expect(redeemed.status).toBe(200)
      expect(await redeemed.text()).toBe('content')
      expect(await world.earned()).toBe(1_000n)
      const third = await pay(url, payment)
      expect(await codeOf(third)).toBe('payment_already_used')
      expect(executions).toBe(2)
    },
  )
})

describe('a restart', () => {
  test('remembers what was paid, and what a payment was spent on', async () => {
    const url = `${gateway.url}/after/x`
    const payment = await signFor(world.chain, url)
    await (await pay(url, payment)).text()
    await expect.poll(gateway.states).toEqual(['delivered'])
    const { startGateway } = await import('../../src/gateway.ts')
    const successor = await startGateway({ configFile: gateway.configFile })
    // Another port is another authority: the request has to be the same one.
    const again = await pay(`${successor.url}/after/x`, payment)
    expect([again.status, await codeOf(again)]).toEqual([409, 'payment_for_other_request'])
    await successor.close()
  })
})
