import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { KEY, openStreet } from './pay-shop.ts'
import { errorOf, runCli } from './run-cli.ts'
import { base64 } from './seller.ts'

const { directory, sells } = openStreet()

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

  test('breaks the body off after the payment: the receipt is kept, exit code 1', async () => {
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
    const file = join(directory(), 'receipt.json')
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
