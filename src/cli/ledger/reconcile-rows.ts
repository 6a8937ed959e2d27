import type { GatewayConfig } from '../../config/gateway-config.ts'
import type { NetworkId } from '../../core/payment.ts'
import { unixMs } from '../../core/time.ts'
import { openChains } from '../../networks/chains.ts'
import { createEvmAudit } from '../../networks/evm-audit.ts'
import { createNetworkRegistry, type Network } from '../../networks/registry.ts'
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from '../exit-code.ts'
import { type Failed, usageFailure } from '../failure.ts'
import type { Output } from '../output.ts'
import type { NetworkReaders } from './compare-row.ts'
import { readFilters } from './filters.ts'
import type { FilterOptions, FromBlock } from './options.ts'
import { type PaidTo, type Reconciled, reconcile } from './reconcile.ts'
import { describeDifference, differenceText, missedText, summaryText } from './reconcile-text.ts'
import type { LedgerPlace } from './with-ledger.ts'

/** What a gateway needs beyond its settle time-out to write down how a settle ended. */
const GRACE_MARGIN_MS = 30_000

/** `farebox ledger reconcile`: one line for each difference, then what was compared. */
export async function reconcileRows(
  options: FilterOptions,
  fromBlock: readonly FromBlock[],
  { output, config, ledger }: LedgerPlace,
): Promise<ExitCode | Failed> {
  const read = readFilters(options)
  if (read.kind === 'failed') return read
  const blocks = readFromBlocks(fromBlock, config.networks)
  if (blocks.kind === 'failed') return blocks
  const settleMs = Math.max(0, ...config.facilitators.map(one => one.settleTimeoutMs))
  const found = reconcile({
    ledger,
    readers: openReaders(config.networks),
    clock: () => unixMs(Date.now()),
    graceMs: settleMs + GRACE_MARGIN_MS,
    filters: read.filters,
    fromBlocks: blocks.fromBlocks,
    paidTo: paidToOf(config),
  })
  const reconciled = await report(found, config.networks, output)
  if (reconciled.differences > 0) return EXIT_FAILED
  return reconciled.notCompared.length > 0 ? EXIT_USAGE : EXIT_OK
}

async function report(
  found: ReturnType<typeof reconcile>,
  networks: readonly Network[],
  output: Output,
): Promise<Reconciled> {
  for (;;) {
    const { done, value } = await found.next()
    if (done !== true) {
      const described = describeDifference(value, networks)
      output.result(described, () => differenceText(described, output.stdout))
      continue
    }
    const { notCompared, ...summary } = value
    for (const missed of notCompared) {
      const networkName = networks.find(({ id }) => id === missed.network)?.name ?? null
      output.result({ notCompared: { ...missed, networkName } }, () =>
        missedText(missed, networkName),
      )
    }
    output.result({ summary }, () => summaryText(value, output.stdout))
    return value
  }
}

function openReaders(networks: readonly Network[]): (id: NetworkId) => NetworkReaders | null {
  const chains = openChains()
  const readers = new Map(
    networks
      .filter(({ rpc }) => rpc.length > 0)
      .map(network => {
        const audit = network.family === 'evm' ? createEvmAudit(network) : null
        return [network.id, { reader: chains.reader(network), audit }] as const
      }),
  )
  return id => readers.get(id) ?? null
}

function paidToOf({ routes }: GatewayConfig): readonly PaidTo[] {
  return routes.flatMap(({ price }) =>
    price.kind === 'paid' ? price.offers.map(({ requirements }) => requirements) : [],
  )
}

type ReadFromBlocks =
  | { readonly kind: 'blocks'; readonly fromBlocks: ReadonlyMap<NetworkId, bigint> }
  | Failed

function readFromBlocks(asked: readonly FromBlock[], networks: readonly Network[]): ReadFromBlocks {
  const registry = createNetworkRegistry(networks)
  const [only, another] = networks.filter(({ rpc }) => rpc.length > 0)
  const fromBlocks = new Map<NetworkId, bigint>()
  for (const { network, block } of asked) {
    const unnamed = another === undefined ? (only ?? null) : null
    const found = network === null ? unnamed : registry.find(network)
    if (found === null) {
      const message =
        network === null
          ? '--from-block names no network, and not exactly one has a node in networks'
          : '--from-block names a network that the configuration does not know'
      return usageFailure('bad_block', message, 'Write it like base:1234567.')
    }
    fromBlocks.set(found.id, block)
  }
  return { kind: 'blocks', fromBlocks }
}
