import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hex } from 'viem'
import type { LocalFacilitatorConfig } from '../../src/config/gateway-config.ts'
import type { Facilitator } from '../../src/facilitator/facilitator.ts'
import { createOpenLocal } from '../../src/facilitator/local/open-local.ts'
import { openChains } from '../../src/networks/chains.ts'
import { loadNetworkRegistry, type Network } from '../../src/networks/registry.ts'
import type { GasBalanceRead, GasSpent } from '../../src/observe/events.ts'
import { FACILITATOR_PRIVATE_KEY } from './accounts.ts'
import type { Chain } from './chain.ts'

export interface TestLocalFacilitator extends Facilitator {
  /** What its keys had left, as it was read. */
  readonly gas: GasBalanceRead[]
  /** What they have paid for transactions whose block stays. */
  readonly spent: GasSpent[]
  readonly errors: unknown[]
  readonly journal: string
}

export type LocalChange = Partial<LocalFacilitatorConfig> &
  Partial<Pick<Network, 'rpc' | 'finality'>>

/** A local facilitator on a chain, with a journal that is removed when it is closed. */
export async function startLocalFacilitator(
  chain: Chain,
  change: LocalChange = {},
): Promise<TestLocalFacilitator> {
  const { rpc = [chain.rpcUrl], finality = 4, ...config } = change
  const folder = await mkdtemp(join(tmpdir(), 'farebox-local-'))
  const known = loadNetworkRegistry().find(`eip155:${chain.chainId}`)
  if (known === null) throw new Error(`No network has the chain id ${chain.chainId}.`)
  const gas: GasBalanceRead[] = []
  const spent: GasSpent[] = []
  const errors: unknown[] = []
  const openLocal = createOpenLocal({
    chains: openChains(),
    observer: {
      gasBalanceRead: event => gas.push(event),
      gasSpent: event => spent.push(event),
      errorReported: ({ error }) => errors.push(error),
    },
  })
  const whole: LocalFacilitatorConfig = {
    ...{ kind: 'local', name: 'local', gasMax: 400_000n, deployers: [] },
    networks: [{ id: known.id, feeCap: 50_000_000_000n }],
    keys: [privateKey(FACILITATOR_PRIVATE_KEY)],
    journal: join(folder, 'journal.db'),
    ...{ replaceAfterMs: 30_000, settleTimeoutMs: 15_000, concurrency: 1_024 },
    ...config,
  }
  const facilitator = openLocal(whole, [{ ...known, rpc, finality }])
  return {
    ...facilitator,
    ...{ gas, spent, errors, journal: whole.journal },
    async close() {
      await facilitator.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function privateKey(key: Hex) {
  return { kind: 'private-key', privateKey: key } as const
}
