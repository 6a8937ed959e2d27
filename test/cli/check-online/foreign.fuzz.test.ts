import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { callContract, codeAt, wordOf } from '../../../src/cli/check-online/contract-reads.ts'
import { findingsAt } from '../../../src/cli/check-online/finding.ts'
import { judgeChallenge } from '../../../src/cli/check-online/judge-challenge.ts'
import { checkDomain } from '../../../src/cli/check-online/token-domain.ts'
import type { WebAnswer } from '../../../src/cli/check-online/web-request.ts'
import { readConfig } from '../../../src/config/load.ts'
import type { Ask } from '../../../src/networks/evm-rpc.ts'
import { loadNetworkRegistry } from '../../../src/networks/registry.ts'
import { createChallenge, NOT_PAID } from '../../../src/x402/challenge.ts'
import { TOKEN_ADDRESS } from '../../support/chain.ts'
import { onlineYaml } from './ask.ts'

const URL_ASKED = 'http://127.0.0.1:9/v1/report'
const at = findingsAt('publicUrl', [])

function route() {
  const loaded = readConfig(onlineYaml({ facilitators: ['http://127.0.0.1:9'] }), {
    ...{ file: 'gateway.yaml', env: {}, presets: new Map(), directory: '/' },
    networks: loadNetworkRegistry(),
  })
  const found = loaded.kind === 'loaded' ? loaded.config.routes[0] : undefined
  if (found === undefined || found.price.kind === 'free') throw new Error('not a priced route')
  return { found, offers: found.price.offers }
}

const { found, offers } = route()
const genuine = createChallenge(
  { key: found.key, identifierRequired: false, gasSponsoring: [], cache: new Map() },
  offers,
  {},
).answer(URL_ASKED, NOT_PAID)

function answer(paymentRequired: string, body: string): WebAnswer {
  const header = (name: string): string | null =>
    name === 'payment-required' ? paymentRequired : name === 'cache-control' ? 'no-store' : null
  return { kind: 'answer', status: 402, header, headBytes: 300, body, certificateEnds: null }
}

const judge = (header: string, body: string) =>
  judgeChallenge(answer(header, body), { route: found, url: URL_ASKED }, at)
const base64 = (text: string): string => Buffer.from(text).toString('base64')

describe('a 402 from anybody', () => {
  test('is all right only as the gateway writes it', () => {
    expect(judge(genuine.paymentRequired, genuine.body.toString())).toEqual([])
  })

  test('is never taken for ours, and never throws, whatever stands in it', () => {
    const json = fc.json().map(base64)
    const header = fc.oneof(fc.string(), json, fc.string().map(base64))
    fc.assert(
      fc.property(header, fc.oneof(fc.string(), fc.json()), (paymentRequired, body) => {
        const findings = judge(paymentRequired, body)
        expect(findings.length).toBeGreaterThan(0)
      }),
      { numRuns: 500 },
    )
  })

  test('with any member changed is noticed, and shows no control character', () => {
    const v2 = JSON.parse(Buffer.from(genuine.paymentRequired, 'base64').toString())
    const members = fc.constantFrom('scheme', 'network', 'asset', 'amount', 'payTo', 'extra')
    fc.assert(
      fc.property(members, fc.oneof(fc.string(), fc.jsonValue()), (member, value) => {
        const [accepts] = v2.accepts
        fc.pre(JSON.stringify(accepts[member]) !== JSON.stringify(value))
        const changed = { ...v2, accepts: [{ ...accepts, [member]: value }] }
        const findings = judge(base64(JSON.stringify(changed)), genuine.body.toString())
        expect(findings.length).toBeGreaterThan(0)
        for (const { message } of findings) expect(message).not.toMatch(/\p{Cc}/u)
      }),
      { numRuns: 500 },
    )
  })
})

describe('what a node answers to a call', () => {
  /** A node that says the same to every question: only its shape is checked, as for real ones. */
  const saying =
    (value: unknown): Ask =>
    async (_method, _params, shape) =>
      shape.parse(value)
  const hex = fc
    .uint8Array({ maxLength: 400 })
    .map(bytes => `0x${Buffer.from(bytes).toString('hex')}`)

  test('is a domain of ours only where the hash is', async () => {
    const domain = { name: 'USDC', version: '2', chainId: 84532n, verifyingContract: TOKEN_ADDRESS }
    await fc.assert(
      fc.asyncProperty(hex, async value => {
        const { kind } = await checkDomain(saying(value), domain)
        expect(kind).toBe(value.length === 66 ? 'different' : 'untold')
      }),
    )
  })

  test('is bytes, or refused: nothing else comes through', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.anything(), hex), async value => {
        const call = callContract(saying(value), { to: TOKEN_ADDRESS, data: '0x' })
        const read = await call.catch(() => null)
        const code = await codeAt(saying(value), TOKEN_ADDRESS).catch(() => null)
        const isHex = typeof value === 'string' && /^0x([0-9a-f]{2})*$/i.test(value)
        expect(code).toBe(isHex ? value.toLowerCase() : null)
        expect(read === null ? null : read.kind).toBe(isHex ? 'returned' : null)
        if (read !== null)
          expect(wordOf(read) === null).toBe(value !== null && `${value}`.length !== 66)
      }),
    )
  })
})
