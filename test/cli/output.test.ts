import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { foreignText } from '../../src/cli/foreign-text.ts'
import { createOutput, table } from '../../src/cli/output.ts'
import { offerText } from '../../src/cli/pay/consent.ts'

const failure = { code: 'c', message: 'it broke', fix: 'mend it', exitCode: 1 } as const

async function write(isTTY: boolean, json: boolean): Promise<{ out: string; err: string }> {
  const stdout = Object.assign(new PassThrough(), { isTTY })
  const stderr = Object.assign(new PassThrough(), { isTTY })
  const output = createOutput({ json }, { argv: [], env: {}, stdin: {}, stdout, stderr })
  output.result({ answer: 42 }, () => 'the answer is 42')
  output.note('working')
  output.failure({ ...failure, details: { status: 404 } })
  stdout.end()
  stderr.end()
  return { out: await text(stdout), err: await text(stderr) }
}

describe('output', () => {
  test('is JSON, one document a line, when piped or asked for', async () => {
    for (const { out, err } of [await write(false, false), await write(true, true)]) {
      expect(JSON.parse(out)).toEqual({ answer: 42 })
      expect(JSON.parse(err)).toEqual({
        error: { code: 'c', message: 'it broke', fix: 'mend it', status: 404 },
      })
    }
  })

  test('is text with the cure at a terminal', async () => {
    const { out, err } = await write(true, false)
    expect(out).toBe('the answer is 42\n')
    expect(err).toContain('working\n')
    expect(err).toContain('it broke\n  mend it\n')
  })

  test('a table lines its columns up and leaves no blanks at the end', () => {
    expect(
      table([
        ['a', 'bb', ''],
        ['ccc', 'd'],
      ]),
    ).toBe('a    bb\nccc  d')
  })
})

describe('text from a server', () => {
  test('cannot move the cursor, change colours or turn the line around', () => {
    const hostile = '\u001b[2K\u001b[1A\u001b]0;title\u0007Price 0.00\r\n\u202e1 USDC\u0000'
    const shown = foreignText(hostile)
    expect(shown).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(shown).toContain('Price 0.00')
  })

  test('is one short line of printable characters, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), hostile => {
        const shown = foreignText(hostile)
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
        expect(shown.length).toBeLessThanOrEqual(200)
      }),
    )
  })

  test('stays inside its own line of what a person confirms', () => {
    const chosen = {
      kind: 'chosen',
      token: { symbol: 'USDC', decimals: 6, dollarPegged: true },
      limit: 10_000n,
      networkName: 'base-sepolia',
      offer: {
        ...{ written: {}, network: 'base-sepolia', networkId: 'eip155:84532', asset: '0xa' },
        ...{ payTo: '0xb', amount: 1500n, maxTimeoutSeconds: 60 },
      },
    }
    const challenge = {
      ...{ version: 1, written: {}, offers: [], unpayable: [], error: null },
      description: 'nice\nPrice  0 USDC',
    }
    const quote = { challenge, chosen } as unknown as Parameters<typeof offerText>[0] // brands only
    const shown = offerText(quote, new URL('http://shop.test/'), new PassThrough())
    expect(shown.split('\n')).toEqual([
      'Price    0.0015 USDC',
      'Pay to   0xb',
      'Network  base-sepolia (eip155:84532)',
      'For      nice Price  0 USDC',
      'Note     not encrypted: others on the way can change this',
    ])
  })
})
