import type { NetworkId } from '../core/payment.ts'
import type { ChainReader } from './chain-reader.ts'
import { createEvmChain } from './evm-chain.ts'
import type { Network } from './registry.ts'

/** Finds the reader of a network among those of one configuration; null where no node is named. */
export type FindChain = (networks: readonly Network[], network: NetworkId) => ChainReader | null

/** Makes readers when they are asked for, and keeps them while the configuration says the same. */
export function openChains(): FindChain {
  const readers = new WeakMap<Network, ChainReader>()
  return (networks, id) => {
    const network = networks.find(one => one.id === id)
    if (network === undefined || network.rpc.length === 0) return null
    const known = readers.get(network)
    if (known !== undefined) return known
    const reader = createEvmChain(network)
    readers.set(network, reader)
    return reader
  }
}
