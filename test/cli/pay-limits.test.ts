import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BUYER_PRIVATE_KEY } from '../support/accounts.ts'
import { gift, KEY, openStreet } from './pay-shop.ts'
import { errorOf, runCli } from './run-cli.ts'

const { directory, sells } = openStreet()

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

  test('an offer on Solana is named, and that only EVM networks are signed for', async () => {
    const network = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'
    const asset = '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU'
    const shop = await sells({ offer: { network, asset, payTo: asset } })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(run.code).toBe(1)
    expect(errorOf(run)).toMatchObject({
      code: 'nothing_payable',
      message: `The server takes only: exact on ${network}.`,
      fix: expect.stringContaining('on EVM networks'),
    })
    expect(shop.payments).toEqual([])
  })

  test('a payment that could be taken for more than a day is not signed', async () => {
    const shop = await sells({ offer: { maxTimeoutSeconds: 86_401 } })
    const run = await runCli(['pay', shop.url, '--yes'], KEY)
    expect(errorOf(run).code).toBe('nothing_payable')
  })

  test('a receipt that could not be written stops the payment', async () => {
    const shop = await sells()
    const file = join(directory(), 'missing', 'receipt.json')
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

  test('is read from a file, and not printed when it stands where its place belongs', async () => {
    const shop = await sells()
    const file = join(directory(), 'key')
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
