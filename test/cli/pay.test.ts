import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BUYER_PRIVATE_KEY, buyer, seller } from '../support/accounts.ts'
import { type Chain, startChain } from '../support/chain.ts'
import { type ReferenceFacilitator, startFacilitator } from '../support/facilitator.ts'
import { errorOf, MAIN, runCli, spawnCli } from './run-cli.ts'
import { base64, type Seller, type SellerOptions, startSeller } from './seller.ts'

const KEY = { FAREBOX_PAYER_KEY: BUYER_PRIVATE_KEY }

let chain: Chain
let facilitator: ReferenceFacilitator
let directory: string
const open: Seller[] = []

beforeAll(async () => {
  chain = await startChain()
  facilitator = await startFacilitator({ chain })
  await chain.mint(buyer.address, 10_000_000n)
  directory = await mkdtemp(join(tmpdir(), 'farebox-pay-'))
})

afterEach(async () => {
  await Promise.all(open.splice(0).map(server => server.close()))
})

afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
  await facilitator.close()
  await chain.close()
})

async function sells(options: Partial<SellerOptions> = {}): Promise<Seller> {
  const server = await startSeller({ version: 2, facilitatorUrl: facilitator.url, ...options })
  open.push(server)
  return server
}

describe.each([1, 2] as const)('a seller that speaks x402 v%i', version => {
  test('is paid once, the body goes to stdout and the receipt to stderr', async () => {
    const shop = await sells({ version })
    const before = await chain.balanceOf(seller.address)

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
    const mined = await chain.publicClient.getTransactionReceipt({ hash: receipt.transaction })
    expect(mined.status).toBe('success')
    expect((await chain.balanceOf(seller.address)) - before).toBe(1000n)
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

describe('before anything is signed', () => {
  test('a price at the limit is paid, one more atomic unit is not', async () => {
    const shop = await sells({ price: '10000' })
    expect((await runCli(['pay', shop.url, '--yes'], KEY)).code).toBe(0)
    expect((await runCli(['pay', shop.url, '--yes', '--max', '0.009999'], KEY)).code).toBe(2)
    expect(shop.payments).toHaveLength(1)
  })

  test('without a terminal and without --yes nothing is paid', async () => {
    const shop = await sells()
    const run = await runCli(['pay', shop.url], KEY)
    expect(run.code).toBe(2)
    expect(errorOf(run)).toMatchObject({
      code: 'not_confirmed',
      fix: expect.stringContaining('--yes'),
    })
    expect(shop.payments).toEqual([])
  })

  test('a token that is not known here needs a limit in its atomic units', async () => {
    const asset = '0x00000000000000000000000000000000000000AA'
    const shop = await sells({ facilitatorUrl: null, offer: { asset }, intercept: gift })

    const refused = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(refused.code).toBe(2)
    expect(errorOf(refused)).toMatchObject({
      code: 'unknown_token',
      fix: expect.stringContaining('--max-atomic 1000'),
    })
    expect(shop.payments).toEqual([])

    const tooLow = await runCli(['pay', shop.url, '--yes', '--max-atomic', '999'], KEY)
    expect(errorOf(tooLow).code).toBe('over_limit')
    expect(shop.payments).toEqual([])

    const paid = await runCli(['pay', shop.url, '--yes', '--max-atomic', '1000'], KEY)
    expect(paid).toMatchObject({ code: 0, stdout: 'a gift' })
    expect(JSON.parse(paid.stderr)).toMatchObject({ transaction: null, price: null, asset })
  })

  test('more than a dollar is paid when --max allows it', async () => {
    const shop = await sells({ price: '1500000' })
    const run = await runCli(['pay', shop.url, '--yes', '--max', '1.5'], KEY)
    expect(run.code).toBe(0)
    expect(JSON.parse(run.stderr).price).toBe('1.5')
  })

  test('an offer for another network than --network is not taken', async () => {
    const shop = await sells()
    const run = await runCli(['pay', shop.url, '--yes', '--network', 'eip155:8453'], KEY)
    expect(run.code).toBe(1)
    expect(errorOf(run).code).toBe('nothing_payable')
    expect(shop.payments).toEqual([])
  })

  test('a payment that could be taken for more than a day is not signed', async () => {
    const shop = await sells({ offer: { maxTimeoutSeconds: 86_401 } })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(errorOf(run).code).toBe('nothing_payable')
  })

  test('a receipt that could not be written stops the payment', async () => {
    const shop = await sells()
    const file = join(directory, 'missing', 'receipt.json')
    const run = await runCli(['pay', shop.url, '--yes', '--receipt', file], KEY)
    expect(run.code).toBe(2)
    expect(errorOf(run).code).toBe('receipt_not_writable')
    expect(shop.payments).toEqual([])
  })
})

describe('the payer key', () => {
  test.each([
    ['is missing', {}, 'no_key'],
    ['is empty', { FAREBOX_PAYER_KEY: ' ' }, 'no_key'],
    ['is too short', { FAREBOX_PAYER_KEY: BUYER_PRIVATE_KEY.slice(0, -1) }, 'bad_key'],
    ['is no hexadecimal', { FAREBOX_PAYER_KEY: `${BUYER_PRIVATE_KEY.slice(0, -1)}g` }, 'bad_key'],
    ['is zero', { FAREBOX_PAYER_KEY: `0x${'0'.repeat(64)}` }, 'bad_key'],
    ['is above the order of the curve', { FAREBOX_PAYER_KEY: 'f'.repeat(64) }, 'bad_key'],
  ])(
    '%s: refused, and never printed',
    async (_, environment: { FAREBOX_PAYER_KEY?: string }, code) => {
      const shop = await sells()
      const run = await runCli(['pay', shop.url, '--yes'], { ...environment })
      expect(run.code).toBe(2)
      expect(errorOf(run).code).toBe(code)
      const key = environment.FAREBOX_PAYER_KEY?.trim()
      if (key) expect(run.stdout + run.stderr).not.toContain(key.slice(2, 30))
      expect(shop.payments).toEqual([])
    },
  )

  test('is read from a file, and is not printed when it stands where its place belongs', async () => {
    const shop = await sells()
    const file = join(directory, 'key')
    await writeFile(file, `${BUYER_PRIVATE_KEY.slice(2)}\n`)
    expect((await runCli(['pay', shop.url, '--yes', '--key-file', file])).code).toBe(0)

    for (const option of ['--key-env', '--key-file', '--key', '--wait']) {
      for (const words of [[option, BUYER_PRIVATE_KEY], [`${option}=${BUYER_PRIVATE_KEY}`]]) {
        const run = await runCli(['pay', shop.url, '--yes', ...words])
        expect(run.code).toBe(2)
        expect(run.stderr).not.toContain(BUYER_PRIVATE_KEY.slice(2))
      }
    }
  })
})

describe('a server that misbehaves', () => {
  test.each([
    ['a header that is not base64', { 'payment-required': '{not base64}' }, ''],
    ['a header that is not JSON', { 'payment-required': 'bm90IGpzb24=' }, ''],
    ['no offer', { 'payment-required': base64({ x402Version: 2, accepts: [] }) }, ''],
    [
      'a version nobody knows',
      { 'payment-required': base64({ x402Version: 9, accepts: [{}] }) },
      '',
    ],
    ['no x402 at all', {}, '<h1>Pay us</h1>'],
  ])('answers 402 with %s', async (_, headers, body) => {
    const shop = await sells({
      unpaid: response => {
        response.writeHead(402, headers)
        response.end(body)
      },
    })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(run).toMatchObject({ code: 1, stdout: '' })
    expect(errorOf(run).code).toBe('malformed_challenge')
    expect(shop.payments).toEqual([])
  })

  test('hangs up after it got the payment: nobody claims that nothing was paid', async () => {
    const shop = await sells({
      intercept: (_, response) => {
        response.destroy()
        return true
      },
    })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(run.code).toBe(1)
    expect(errorOf(run)).toMatchObject({
      code: 'outcome_unknown',
      fix: expect.stringContaining('may have been taken'),
    })
    expect(shop.payments).toHaveLength(1)
  })

  test('never learns the fate: asked a bounded time, then reported', async () => {
    const shop = await sells({
      intercept: (_, response) => {
        response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' })
        response.end('{"code":"settlement_pending"}')
        return true
      },
    })
    const run = await runCli(['pay', shop.url, '--yes', '--wait', '0'], KEY)
    expect(run.code).toBe(1)
    expect(errorOf(run).code).toBe('settlement_pending')
    expect(shop.payments).toHaveLength(1)
  })

  test('refuses a payment that was used: exit code 3', async () => {
    const shop = await sells({
      intercept: (_, response) => {
        response.writeHead(409, { 'content-type': 'application/problem+json' })
        response.end('{"code":"payment_already_used","detail":"It bought something before."}')
        return true
      },
    })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(run.code).toBe(3)
    expect(errorOf(run)).toMatchObject({
      code: 'payment_already_used',
      message: 'It bought something before.',
    })
  })

  test('breaks the body off after the payment: the receipt is kept, the exit code is 1', async () => {
    const shop = await sells({
      intercept: (_, response) => {
        const settled = {
          success: true,
          transaction: '0xabc',
          network: 'eip155:84532',
          payer: '0x1',
        }
        response.writeHead(200, { 'payment-response': base64(settled), 'content-length': '100' })
        response.write('half', () => response.destroy())
        return true
      },
    })
    const file = join(directory, 'receipt.json')
    const run = await runCli(['pay', shop.url, '--yes', '--receipt', file], KEY)
    expect(run.code).toBe(1)
    const [receipt, failure] = run.stderr
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(receipt.transaction).toBe('0xabc')
    expect(failure.error.code).toBe('truncated_body')
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(receipt)
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
    env: { PATH: process.env.PATH, ...KEY },
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

function gift(_: unknown, response: ServerResponse): boolean {
  response.end('a gift')
  return true
}
