import type { NetworkId } from '../core/payment.ts'
import type { ChainReader } from './chain-reader.ts'
import type { Network } from './registry.ts'
import type { RpcPool } from './rpc-pool.ts'

/** The chains that one gateway talks to. Everybody who asks a network shares its pool of nodes. */
export interface Chains {
  /** Finds a network among those of one configuration; null where no node of it is named. */
  find(networks: readonly Network[], network: NetworkId): ChainReader | null
  reader(network: Network): ChainReader
  /** @param network Its `rpc` must not be empty. */
  pool(network: Network): Promise<RpcPool>
}

/** Makes them when they are asked for, and keeps them while the configuration says the same. */
export function openChains(): Chains {
  const readers = new WeakMap<Network, ChainReader>()
  const pools = new WeakMap<Network, Promise<RpcPool>>()
  const pool = (network: Network): Promise<RpcPool> => {
    const known = pools.get(network)
    if (known !== undefined) return known
    const made = import('./rpc-pool.ts').then(({ createRpcPool }) => createRpcPool(network))
    pools.set(network, made)
    return made
  }
  const reader = (network: Network): ChainReader => {
    const known = readers.get(network)
    if (known !== undefined) return known
    const made = lazily(network, pool)
    readers.set(network, made)
    return made
  }
  return {
    pool,
    reader,
    find(networks, id) {
      const network = networks.find(one => one.id === id)
      return network === undefined || network.rpc.length === 0 ? null : reader(network)
    },
  }
}

/** The chain client is large, and a gateway that loses no answer never needs it. */
function lazily(network: Network, poolOf: Chains['pool']): ChainReader {
  let made: Promise<ChainReader> | null = null
  const make = async (): Promise<ChainReader> => {
    const pool = await poolOf(network)
    if (network.family === 'solana') {
      const { createSolanaChain } = await import('./solana-chain.ts')
      return createSolanaChain(network, { pool })
    }
    const { createEvmChain } = await import('./evm-chain.ts')
    return createEvmChain(network, { pool })
  }
  return {
    async look(transfer, hints) {
      made ??= make()
      return (await made).look(transfer, hints)
    },
  }
}
