import * as viemChains from 'viem/chains'
import { expect, test } from 'vitest'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'

const explorers = new Map(
  Object.values(viemChains).map(({ id, blockExplorers }) => [
    `eip155:${id}`,
    blockExplorers?.default.url.replace(/\/$/, ''),
  ]),
)

test('a transaction is looked at where viem says that people look', () => {
  const { networks } = loadNetworkRegistry()
  const linked = networks.filter(({ explorer }) => explorer !== null)
  expect(linked.length).toBeGreaterThan(40)
  for (const { id, explorer } of linked) {
    const known = explorers.get(id)
    // EIP-3091 has the path.
    if (known !== undefined) expect(explorer).toBe(`${known}/tx/{transaction}`)
  }
})
