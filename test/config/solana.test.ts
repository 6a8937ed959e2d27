import { describe, expect, it } from 'vitest'
import { accepted, HEAD, PAY_TO, problemsOf, read, SOLANA_PAY_TO } from './support.ts'

const BOTH = HEAD.replace(`"${PAY_TO}"`, `{evm: "${PAY_TO}", solana: ${SOLANA_PAY_TO}}`)
  .replace('[base-sepolia]', '[solana-devnet, base-sepolia]')
  .replace('[x402-org]', '["http://localhost:4021"]')
const ROUTE = 'routes: {/a: $0.001}\n'

describe('offers on Solana', () => {
  it('name the mint, its atomic units, and who is paid there', () => {
    const [route] = accepted(BOTH + ROUTE).routes
    expect(route?.price).toMatchObject({
      offers: [
        {
          amount: 1_000n,
          transferMethod: 'spl-token',
          v1Network: 'solana-devnet',
          requirements: {
            network: 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
            asset: '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU',
            payTo: SOLANA_PAY_TO,
            extra: {},
          },
        },
        { requirements: { network: 'eip155:84532', payTo: PAY_TO } },
      ],
    })
  })

  it('may be of a Token-2022 mint, named by its symbol', () => {
    const text = BOTH.replace('solana-devnet', '{network: solana-devnet, asset: PYUSD}')
    expect(accepted(text + ROUTE).routes[0]?.price).toMatchObject({
      offers: [{ symbol: 'PYUSD', transferMethod: 'spl-token-2022' }, {}],
    })
  })

  it('take a payTo that is no map, where all that is accepted is on Solana', () => {
    const text = HEAD.replace(`"${PAY_TO}"`, SOLANA_PAY_TO)
      .replace('base-sepolia', 'solana-devnet')
      .replace('[x402-org]', '["http://localhost:4021"]')
    expect(accepted(text + ROUTE).routes[0]?.price).toMatchObject({
      offers: [{ requirements: { payTo: SOLANA_PAY_TO } }],
    })
  })

  it('need somebody who is paid there', () => {
    const text = HEAD.replace('base-sepolia', 'solana-devnet')
    expect(problemsOf(text + ROUTE)).toMatchObject([
      { item: 'payTo', message: 'names nobody who is paid on solana-devnet' },
    ])
  })

  it.each([
    ['of another kind', PAY_TO, 'is not a Solana address'],
    ['that is cut', SOLANA_PAY_TO.slice(0, -4), 'is not a Solana address'],
    ['with a letter that base58 lacks', `0${SOLANA_PAY_TO.slice(1)}`, 'is not a Solana address'],
    ['that nobody owns', '1'.repeat(32), 'system program'],
  ])('refuse an address %s', (_, address, message) => {
    const problems = problemsOf(BOTH.replace(SOLANA_PAY_TO, `"${address}"`) + ROUTE)
    expect(problems).toMatchObject([
      { item: 'payTo.solana', message: expect.stringContaining(message) },
    ])
  })

  it('refuse a route that takes longer than a blockhash lives, unless it is paid first', () => {
    const slow = (more: string): string =>
      `${BOTH.replace('solana-devnet', '{network: solana-devnet, maxTimeout: 300s}')}
routes: {/a: {price: $1, timeout: 50s${more}}}`
    expect(problemsOf(slow(''))).toMatchObject([
      { item: 'routes."/a".timeout', message: expect.stringContaining('on Solana expire') },
    ])
    expect(read(slow(', settle: before-upstream')).kind).toBe('loaded')
  })

  it('refuse a token program that is none', () => {
    const mint = `{symbol: A, address: ${SOLANA_PAY_TO}, decimals: 6, program: ${SOLANA_PAY_TO}}`
    const problems = problemsOf(`${BOTH}networks: {solana: {assets: [${mint}]}}\n${ROUTE}`)
    expect(problems).toMatchObject([
      { item: 'networks.solana.assets[0].program', message: 'is neither Token nor Token-2022' },
    ])
  })
})
