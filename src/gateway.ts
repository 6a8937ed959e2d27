import type { Writable } from 'node:stream'
import { openAccess } from './access/open-access.ts'
import type { GatewayConfig, ListenAddress } from './config/gateway-config.ts'
import {
  type ConfigSource,
  openConfigSource,
  type Reloaded,
  type ReloadTarget,
} from './config/source.ts'
import type { NetworkId, PaymentKey } from './core/payment.ts'
import { type Clock, unixMs } from './core/time.ts'
import { createOpenLocal } from './facilitator/local/open-local.ts'
import { openSupportCache } from './facilitator/support-cache.ts'
import { startDeliveryRecord } from './flow/delivery-record.ts'
import { type Force, openForce } from './flow/force.ts'
import { startHoldRenewal } from './flow/hold-renewal.ts'
import { openHouse } from './flow/open-house.ts'
import type { SharedCounters } from './flow/rate-counters.ts'
import { createReadiness, type ReadinessReport } from './flow/readiness.ts'
import { attemptMsMax, type Recovery, startRecovery } from './flow/recovery.ts'
import { startSettlementCheck } from './flow/settlement-check.ts'
import { createSettlementWatch } from './flow/settlement-watch.ts'
import { createStoreHealth } from './flow/store-health.ts'
import { createTunnels } from './flow/websocket/tunnels.ts'
import { connectFacilitators } from './gateway/facilitators.ts'
import { startServer } from './gateway/server.ts'
import { startAdmin } from './http/admin.ts'
import type { Ledger } from './ledger/ledger.ts'
import { openLedger } from './ledger/open-ledger.ts'
import { openQueries } from './ledger/open-queries.ts'
import { openSharedCounters } from './limits/shared-counters.ts'
import { type Chains, openChains } from './networks/chains.ts'
import { combineObservers, type GatewayObserver } from './observe/events.ts'
import { createLogger, type Logger } from './observe/log.ts'
import { createMetrics, type MetricReport } from './observe/metrics.ts'
import { createUpstream } from './upstream/forward.ts'
import { createUpstreamSet } from './upstream/upstream-set.ts'
import { fareboxVersion } from './version.ts'

export interface GatewayOptions {
  readonly configFile: string
  /** Reload when the file changes. */
  readonly watch?: boolean
  /** Where `${VAR}` is looked up; default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where JSON logs go: a file descriptor, a path or a stream; default: nowhere. */
  readonly log?: number | string | Writable
}

export interface Gateway {
  /** "http://127.0.0.1:8402" */
  readonly url: string
  /** Null when the admin listener is off. */
  readonly adminUrl: string | null
  /** Reads the file again. All or nothing: a bad file keeps what is in force. */
  reload(): Promise<Reloaded>
  /** Takes nothing new, finishes what runs, closes everything. */
  close(): Promise<void>
}

/**
 * Starts a gateway in this process, and in no other: `server.workers` is for `farebox start`.
 *
 * @throws ConfigurationError    with every problem of the file.
 * @throws StoreUnavailableError when the store cannot be opened.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  // Before the file is read, so that no change falls between the two.
  const source = openConfigSource(options)
  try {
    return await startGatewayOn(source, await source.read(), options)
  } catch (error) {
    source.close()
    throw error
  }
}

/** As `startGateway`, for whoever has read the file already. Closes `source` with the gateway. */
export async function startGatewayOn(
  source: ConfigSource,
  config: GatewayConfig,
  options: Pick<GatewayOptions, 'log'>,
): Promise<Gateway> {
  await using opened = new AsyncDisposableStack()
  const logger = createLogger({ destination: options.log ?? null })
  opened.defer(() => logger.close())
  const gateway = await openGateway(config, { logger, admin: config.admin })
  opened.defer(() => gateway.close())
  opened.defer(() => source.close())
  const { url, adminUrl } = gateway
  const reload = source.reloadInto(gateway)
  const running = opened.move()
  return { url, adminUrl, reload, close: () => running.disposeAsync() }
}

/** A gateway whose configuration is handed in: on its own, or one worker of several. */
export interface OpenGateway extends ReloadTarget {
  readonly url: string
  readonly adminUrl: string | null
  readiness(): Promise<ReadinessReport>
  metrics(): Promise<MetricReport>
  close(): Promise<void>
}

/** Puts everything together, in the order in which one thing needs the other. */
export async function openGateway(
  config: GatewayConfig,
  {
    logger,
    admin: listen,
    ...given
  }: {
    readonly logger: Logger
    readonly admin: ListenAddress | null
    /** Of workers, where the store has none. Default: none. */
    readonly sharedCounters?: SharedCounters
  },
): Promise<OpenGateway> {
  await using opened = new AsyncDisposableStack()
  const ledger = await openLedger(config.store, clock)
  opened.defer(() => ledger.close())
  const storeCounters = openSharedCounters(config.store, openQueries)
  opened.defer(() => storeCounters?.close())
  const sharedCounters = storeCounters ?? given.sharedCounters ?? null
  let inForce: Force | null = null
  const metrics = createMetrics({
    version: fareboxVersion(),
    countLedgerRows: () => ledger.countByState(),
    facilitators: () => inForce?.current.payments.facilitators ?? [],
    shadowRoutes: () =>
      inForce?.current.config.routes.filter(({ mode }) => mode === 'shadow').length ?? 0,
    ...(config.server.tls && {
      certificateNotAfter: () => inForce?.current.config.server.tls?.notAfter ?? null,
    }),
    upstreams: () => [...(inForce?.current.upstreams.byName.values() ?? [])],
  })
  const storeHealth = createStoreHealth(clock)
  const observer = combineObservers(metrics.observer, logger.observer, storeHealth.observer)

  const chains = openChains()
  const force = await bringIntoForce(config, { observer, chains })
  inForce = force
  opened.defer(() => force.close())
  const settlements = createSettlementWatch()
  const { tell: resolved } = settlements
  const recovery = openRecovery({ force, ledger, observer, chains, resolved })
  opened.defer(() => recovery.close())
  const chain = (network: NetworkId) => chains.find(force.current.config.networks, network)
  const settlementCheck = startSettlementCheck({ chain, clock, observer })
  opened.defer(() => settlementCheck.close())
  const readiness = createReadiness({ force, ledger, storeHealth, settlementCheck, clock })
  const pages = { metrics: metrics.render, readiness: readiness.report }
  const admin = listen && (await startAdmin({ listen, ...pages }))
  opened.defer(() => admin?.close())
  const { wake: claimLeftOpen } = recovery
  const reportError = (error: unknown): void => observer.errorReported({ error, requestId: null })
  const holds = startHoldRenewal({ ledger, clock, reportError })
  opened.defer(() => holds.close())
  const deliveries = startDeliveryRecord({ ledger, clock, reportError })
  opened.defer(() => deliveries.close())
  const tunnels = createTunnels({ observer, clock })
  const parts = { holds, deliveries, tunnels, sharedCounters }
  const around = { force, ledger, observer, clock, ...parts }
  const house = openHouse({ ...around, claimLeftOpen, settlements, settlementCheck })
  const server = await startServer(force, house)
  opened.defer(() => server.drain(force.current.config.server.drainTimeoutMs))
  opened.defer(() => tunnels.close())
  opened.defer(() => settlements.close())
  opened.defer(() => readiness.startDraining())
  warnOfShadow(force.current.config, logger)

  const running = opened.move()
  return {
    url: server.url,
    adminUrl: admin?.url ?? null,
    inForce: () => force.current.config,
    async apply(next) {
      await force.apply(next)
      if (next.server.tls !== null) server.useCertificate(next.server.tls)
    },
    reloaded(problems) {
      readiness.noteReload(problems)
      observer.configReloaded({ ok: problems.length === 0, problems })
      if (problems.length === 0) warnOfShadow(force.current.config, logger)
    },
    readiness: readiness.report,
    metrics: metrics.report,
    close: () => running.disposeAsync(),
  }
}

function warnOfShadow({ routes }: GatewayConfig, logger: Logger): void {
  const given = routes.filter(({ mode }) => mode === 'shadow').map(({ key }) => key)
  if (given.length === 0) return
  logger.warn('SHADOW MODE: priced routes are served to everybody for nothing', { routes: given })
}

const clock: Clock = () => unixMs(Date.now())

interface ForceSurroundings {
  readonly observer: GatewayObserver
  readonly chains: Chains
}

function bringIntoForce(config: GatewayConfig, around: ForceSurroundings): Promise<Force> {
  const { observer } = around
  const reportError = (error: unknown): void => observer.errorReported({ error, requestId: null })
  const cache = openSupportCache({
    file: config.supportCacheFile,
    clock,
    reportError,
  })
  const openLocal = createOpenLocal(around)
  return openForce(config, {
    clock,
    upstreams: createUpstreamSet(upstream => createUpstream(upstream, observer)),
    access: openAccess({ reportError }),
    openPayments: (next, onChange) =>
      connectFacilitators(next, { cache, observer, openLocal, clock }, onChange),
  })
}

function openRecovery(parts: {
  readonly force: Force
  readonly ledger: Ledger
  readonly observer: GatewayObserver
  readonly resolved: (key: PaymentKey) => void
  readonly chains: Chains
}): Recovery {
  const { force, chains } = parts
  return startRecovery({
    ...parts,
    clock,
    chain: network => chains.find(force.current.config.networks, network),
    async resettle(stored) {
      const { value, leave } = force.enter()
      return value.snapshot.engine.resettle(stored).finally(leave)
    },
    attemptMsMax: () => attemptMsMax(force.current.config),
    retentionMs: () => force.current.config.store.retentionMs,
  })
}
