import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { BUYER_PRIVATE_KEY, buyer } from '../support/accounts.ts'
import { type Chain, startChain } from '../support/chain.ts'
import { type ReferenceFacilitator, startFacilitator } from '../support/facilitator.ts'
import { type Seller, type SellerOptions, startSeller } from './seller.ts'

export const KEY = { FAREBOX_PAYER_KEY: BUYER_PRIVATE_KEY }

export interface Street {
  readonly chain: () => Chain
  /** An empty directory, removed after the last test. */
  readonly directory: () => string
  /** Opens a seller, closed after the test. */
  readonly sells: (options?: Partial<SellerOptions>) => Promise<Seller>
}

/** A chain, a facilitator and a buyer with ten dollars, for the tests of one file. */
export function openStreet(): Street {
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
  return {
    chain: () => chain,
    directory: () => directory,
    async sells(options = {}) {
      const server = await startSeller({ version: 2, facilitatorUrl: facilitator.url, ...options })
      open.push(server)
      return server
    },
  }
}

/** Gives the goods away, without a receipt. */
export function gift(_: unknown, response: ServerResponse): boolean {
  response.end('a gift')
  return true
}
