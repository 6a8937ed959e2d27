import { spawn } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { gift, KEY, openStreet } from './pay-shop.ts'
import { bareEnvironment, errorOf, MAIN, runCli, spawnCli } from './run-cli.ts'

const { chain, sells } = openStreet()

describe.each([1, 2] as const)('a seller that speaks x402 v%i', version => {
  test('is paid once, the body goes to stdout and the receipt to stderr', async () => {
    const shop = await sells({ version })
    const before = await chain().balanceOf(seller.address)

    const run = await spawnCli(['pay', `${shop.url}/report`, '--yes'], KEY)

    expect(run).toMatchObject({ code: 0, stdout: 'what was paid for\n' })
    const receipt = JSON.parse(run.stderr)
    expect(receipt).toMatchObject({
      network: 'eip155:84532',
      payer: buyer.address,
      payTo: seller.address,
      amount: '1000',
      price: '0.001',
      symbol: 'USDC',
      x402Version: version,
    })
    const mined = await chain().publicClient.getTransactionReceipt({ hash: receipt.transaction })
    expect(mined.status).toBe('success')
    expect((await chain().balanceOf(seller.address)) - before).toBe(1000n)
    expect(shop.payments).toHaveLength(1)
  })

  test('gets no signature when the price is above --max', async () => {
    const shop = await sells({ version, price: '10001' })

    const run = await runCli(['pay', shop.url, '--yes', '--max', '0.01'], KEY)

    expect(run.code).toBe(2)
    expect(errorOf(run)).toMatchObject({
      code: 'over_limit',
      message: expect.stringContaining('0.010001 USDC'),
      fix: expect.stringContaining('--max 0.010001'),
    })
    expect(shop.payments).toEqual([])
  })

  test('that asks another price the second time gets no second signature', async () => {
    const shop = await sells({ version, price: asked => (asked === 0 ? '1000' : '2000') })

    const run = await runCli(['pay', shop.url, '--yes'], KEY)

    expect(run).toMatchObject({ code: 3, stdout: '' })
    expect(errorOf(run)).toMatchObject({
      code: 'payment_refused',
      message: expect.stringContaining('now asks 0.002 USDC instead of 0.001 USDC'),
      amount: '2000',
    })
    expect(shop.payments).toHaveLength(1)
  })

  test('that does not know the fate of a payment gets the same payment again', async () => {
    const shop = await sells({
      version,
      intercept: ({ paidCount }, response) => {
        if (paidCount === 3) return false
        response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '0' })
        response.end(JSON.stringify({ code: 'settlement_pending', title: 'Not known yet' }))
        return true
      },
    })

    const run = await runCli(['pay', shop.url, '--yes'], KEY)

    expect(run).toMatchObject({ code: 0, stdout: 'what was paid for\n' })
    expect(shop.payments).toHaveLength(3)
    expect(new Set(shop.payments).size).toBe(1)
  })
})

describe('the request', () => {
  test('that costs nothing prints the body and needs no key', async () => {
    const shop = await sells({ unpaid: response => response.end('free of charge') })
    const run = await runCli(['pay', shop.url])
    expect(run).toEqual({ code: 0, stdout: 'free of charge', stderr: '' })
  })

  test('that fails prints the body and exits with 1', async () => {
    const shop = await sells({
      unpaid: response => {
        response.statusCode = 404
        response.end('nothing here')
      },
    })
    const run = await runCli(['pay', shop.url])
    expect(run).toMatchObject({ code: 1, stdout: 'nothing here' })
    expect(errorOf(run)).toMatchObject({ code: 'http_status', status: 404 })
  })

  test('is not sent elsewhere by a redirect', async () => {
    const shop = await sells({
      unpaid: response => {
        response.writeHead(307, { location: 'http://127.0.0.1:1/' })
        response.end()
      },
    })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(run.code).toBe(1)
    expect(errorOf(run)).toMatchObject({
      code: 'redirected',
      message: expect.stringContaining('http://127.0.0.1:1/'),
    })
  })

  test('carries method, body and headers both times', async () => {
    const seen: (string | undefined)[] = []
    const shop = await sells({
      intercept: ({ message }, response) => {
        seen.push(message.headers['x-city'] as string, message.headers['content-type']) // one each
        return gift({}, response)
      },
    })
    const words = ['-d', '{"city":"paris"}', '-H', 'X-City: Paris', '-X', 'put']
    const run = await runCli(['pay', shop.url, '--yes', ...words], KEY)
    expect(run.code).toBe(0)
    const sent = { method: 'PUT', body: '{"city":"paris"}' }
    expect(shop.requests).toEqual([sent, sent])
    expect(seen).toEqual(['Paris', 'application/json'])
  })
})

test('a body is passed on as it arrives, not when it is complete', async () => {
  let finish: (() => void) | undefined
  const shop = await sells({
    intercept: (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: first\n\n')
      finish = () => response.end('data: last\n\n')
      return true
    },
  })
  const child = spawn(process.execPath, [MAIN, 'pay', shop.url, '--yes'], {
    env: { ...bareEnvironment(), ...KEY },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const chunks: string[] = []
  for await (const chunk of child.stdout) {
    chunks.push(String(chunk))
    finish?.()
    finish = undefined
  }
  expect(chunks.join('')).toBe('data: first\n\ndata: last\n\n')
  expect(chunks[0]).toBe('data: first\n\n')
})
