import type { Writable } from 'node:stream'
import type { FacilitatorServiceConfig } from './config/facilitator-service-config.ts'
import { loadFacilitatorServiceConfig } from './config/load.ts'
import { formatProblem } from './config/problems.ts'
import type { Reloaded } from './config/source.ts'
import { type Clock, unixMs } from './core/time.ts'
import { ConfigurationError } from './errors.ts'
import { createOpenLocal, type OpenedLocal } from './facilitator/local/open-local.ts'
import { type Callers, createCallers } from './facilitator/serve/callers.ts'
import { createGuesses } from './facilitator/serve/guesses.ts'
import {
  handleFacilitatorRequest,
  REQUEST_BYTES_MAX,
  type ServiceParts,
} from './facilitator/serve/handle-request.ts'
import { createNodeHealth, type NodeHealth } from './facilitator/serve/node-health.ts'
import { createSettlements } from './facilitator/serve/settlements.ts'
import { attemptMsMax, type Recovery, startRecovery } from './flow/recovery.ts'
import { startAdmin } from './http/admin.ts'
import { createClientAddressReader } from './http/client-address.ts'
import { type HttpServer, startHttpServer } from './http/server.ts'
import type { Ledger } from './ledger/ledger.ts'
import { openLedger } from './ledger/open-ledger.ts'
import { type Chains, openChains } from './networks/chains.ts'
import type { Network } from './networks/registry.ts'
import { combineObservers, type GatewayObserver } from './observe/events.ts'
import { createLogger } from './observe/log.ts'
import { createMetrics } from './observe/metrics.ts'
import { fareboxVersion } from './version.ts'
import { createPaymentEngine } from './x402/payment-engine.ts'

export interface FacilitatorServiceOptions {
  readonly configFile: string
  /** Where `${VAR}` is looked up; default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where JSON logs go: a file descriptor, a path or a stream; default: nowhere. */
  readonly log?: number | string | Writable
}

/** A facilitator that others ask over HTTP. */
export interface FacilitatorService {
  /** "http://127.0.0.1:8403" */
  readonly url: string
  /** Null when the admin listener is off. */
  readonly adminUrl: string | null
  /** Reads the file again and puts its `keys` in force. All or nothing. */
  reload(): Promise<Reloaded>
  /** Takes nothing new, finishes what runs, closes everything. */
  close(): Promise<void>
}

/**
 * Starts a facilitator: verifies and settles on chain for whoever has one of its keys.
 *
 * @throws ConfigurationError    with every problem of the file.
 * @throws StoreUnavailableError when the store or the journal cannot be opened.
 */
export async function startFacilitatorService(
  options: FacilitatorServiceOptions,
): Promise<FacilitatorService> {
  const config = await readConfig(options)
  await using opened = new AsyncDisposableStack()
  const logger = createLogger({ destination: options.log ?? null })
  opened.defer(() => logger.close())
  const ledger = await openLedger(config.store, clock)
  opened.defer(() => ledger.close())
  const metrics = createMetrics({
    version: fareboxVersion(),
    countLedgerRows: () => ledger.countByState(),
    facilitators: () => [],
  })
  const observer = combineObservers(metrics.observer, logger.observer)
  const chains = openChains()
  const facilitator = createOpenLocal({ chains, observer })(config.local, config.networks)
  opened.defer(() => facilitator.close())
  const recovery = await openRecovery(config, { facilitator, ledger, chains, observer })
  opened.defer(() => recovery.close())
  let callers = createCallers(config.keys)
  const around = { facilitator, ledger, observer, recovery, callers: () => callers }
  let draining = false
  const nodes = createNodeHealth({ networks: servedNetworks(config), chains })
  const readiness = () => reportReadiness({ ledger, nodes }, draining)
  const admin =
    config.admin && (await startAdmin({ listen: config.admin, metrics: metrics.render, readiness }))
  opened.defer(() => admin?.close())
  const server = await startServer(config, toParts(config, around))
  opened.defer(() => server.drain(config.local.settleTimeoutMs + WRITES_MS))
  opened.defer(() => {
    draining = true
  })

  const running = opened.move()
  return {
    url: server.url,
    adminUrl: admin?.url ?? null,
    async reload() {
      const next = await readNext(options, config)
      if (next.kind === 'read') callers = createCallers(next.config.keys)
      const problems = next.kind === 'read' ? [] : next.problems
      observer.configReloaded({ ok: problems.length === 0, problems })
      return next.kind === 'read' ? { kind: 'reloaded' } : { kind: 'refused', problems }
    },
    close: () => running.disposeAsync(),
  }
}

const clock: Clock = () => unixMs(Date.now())
/** For what is written down and answered once a settlement is over. */
const WRITES_MS = 10_000
const LIMITS = { headerBytes: 16 * 1024, bodyBytes: REQUEST_BYTES_MAX, requestTimeoutMs: 30_000 }

async function readConfig(options: FacilitatorServiceOptions): Promise<FacilitatorServiceConfig> {
  const { configFile, env = process.env } = options
  const loaded = await loadFacilitatorServiceConfig(configFile, { env })
  if (loaded.kind === 'invalid') throw new ConfigurationError(loaded.problems)
  return loaded.config
}

type Next =
  | { readonly kind: 'read'; readonly config: FacilitatorServiceConfig }
  | { readonly kind: 'refused'; readonly problems: readonly string[] }

/** What holds sockets, files and nonces open cannot change under them. */
async function readNext(
  options: FacilitatorServiceOptions,
  before: FacilitatorServiceConfig,
): Promise<Next> {
  const { configFile, env = process.env } = options
  const loaded = await loadFacilitatorServiceConfig(configFile, { env })
  if (loaded.kind === 'invalid') {
    return { kind: 'refused', problems: loaded.problems.map(formatProblem) }
  }
  const fixed = (config: FacilitatorServiceConfig): string =>
    JSON.stringify({ ...config, keys: null }, (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    )
  if (fixed(loaded.config) === fixed(before)) return { kind: 'read', config: loaded.config }
  const problem = 'More than keys has changed, which takes a restart. Nothing was applied.'
  return { kind: 'refused', problems: [problem] }
}

interface Surroundings {
  readonly facilitator: OpenedLocal
  readonly ledger: Ledger
  readonly observer: GatewayObserver
}

/** Finishes the rows that a crash or a slow chain has left open. Opens the journal, too. */
async function openRecovery(
  { local, networks, store }: FacilitatorServiceConfig,
  around: Surroundings & { readonly chains: Chains },
): Promise<Recovery> {
  const { facilitator, chains } = around
  const supported = await facilitator.supported()
  const { resettle } = createPaymentEngine([{ facilitator, supported }], { networkOf: () => null })
  return startRecovery({
    ...{ ...around, clock, resettle },
    chain: network => chains.find(networks, network),
    attemptMsMax: () => attemptMsMax({ networks, facilitators: [local] }),
    retentionMs: () => store.retentionMs,
  })
}

function toParts(
  config: FacilitatorServiceConfig,
  around: Surroundings & { readonly recovery: Recovery; readonly callers: () => Callers },
): ServiceParts {
  const { recovery, callers } = around
  const settlements = createSettlements({
    ...{ ...around, clock, settleMsMax: config.local.settleTimeoutMs },
    leftOpen: recovery.wake,
  })
  const guesses = createGuesses(clock)
  return { ...around, callers, guesses, clock, settlements, networks: servedNetworks(config) }
}

function servedNetworks({ local, networks }: FacilitatorServiceConfig): readonly Network[] {
  return networks.filter(({ id }) => local.networks.some(one => one.id === id))
}

function startServer(
  { listen }: FacilitatorServiceConfig,
  parts: ServiceParts,
): Promise<HttpServer> {
  const clientAddress = createClientAddressReader([])
  // Callers are known by their keys, whatever name they found the service by.
  const allowsHost = (): boolean => true
  const bodyBytesMax = REQUEST_BYTES_MAX
  const settings = { publicUrl: null, bodyBytesMax, allowsHost, clientAddress }
  return startHttpServer({
    ...{ listen, limits: LIMITS },
    settings: () => settings,
    handle: exchange => handleFacilitatorRequest(exchange, parts),
  })
}

async function reportReadiness(
  { ledger, nodes }: { readonly ledger: Ledger; readonly nodes: NodeHealth },
  draining: boolean,
): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }> {
  const counted = ledger.countByState().then(
    () => true,
    () => false,
  )
  const [isStoreWell, silent] = await Promise.all([counted, nodes.reasons()])
  const reasons = [
    ...(draining ? ['shutting down'] : []),
    ...(isStoreWell ? [] : ['the store does not work: nothing is settled']),
    ...silent,
  ]
  return { ready: reasons.length === 0, reasons }
}
