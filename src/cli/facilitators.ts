import type { Command } from 'commander'
import type { FacilitatorPreset } from '../config/facilitator-presets.ts'
import type { FacilitatorConfig, GatewayConfig } from '../config/gateway-config.ts'
import { variablesIn } from '../config/variables.ts'
import { readConfiguration } from './configuration.ts'
import { EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.ts'
import { createOutput, type Output, table } from './output.ts'
import type { Surroundings } from './surroundings.ts'

export function registerFacilitators(program: Command, surroundings: Surroundings): void {
  program
    .command('facilitators')
    .description('list the facilitators that a gateway can name, their keys and what they serve')
    .option('-c, --config <file>', 'configuration file: shows the order in which it asks them')
    .option('--json', 'print JSON, as when piped')
    .addHelpText(
      'after',
      '\nTo run one yourself: farebox facilitator.' +
        '\nExit codes: 0 listed, 2 the configuration has problems.\n',
    )
    .action(async (options: { config?: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      const place = { output, env: surroundings.env }
      surroundings.exitCode = await listFacilitators(options.config ?? null, place)
    })
}

async function listFacilitators(
  file: string | null,
  place: { readonly output: Output; readonly env: NodeJS.ProcessEnv },
): Promise<ExitCode> {
  const loaded = file === null ? null : await readConfiguration(file, place)
  if (file !== null && loaded === null) return EXIT_USAGE
  const { loadFacilitatorPresets } = await import('../config/facilitator-presets.ts')
  const presets = loadFacilitatorPresets()
  const configured = loaded?.config.facilitators ?? []
  const networkName = (id: string): string =>
    loaded?.config.networks.find(network => network.id === id)?.name ?? id
  const listed = [
    ...configured.map((one, index) =>
      describeConfigured(one, { order: index + 1, presets, networkName }),
    ),
    ...[...presets]
      .filter(([name]) => !configured.some(one => one.kind === 'http' && one.preset === name))
      .map(([name, preset]) => describePreset(name, preset, null)),
  ]
  place.output.result({ facilitators: listed }, () => facilitatorsText(listed))
  return EXIT_OK
}

type Listed = ReturnType<typeof describePreset>

/** A preset as programs read it; `order` is its place in the configuration. */
function describePreset(name: string, preset: FacilitatorPreset, order: number | null) {
  const { auth, anonymous, headers, networks, hasSupported, limits, registration } = preset
  const written = [...Object.values(auth ?? {}), ...Object.values(headers)]
  const variables = written.flatMap(variablesIn)
  return {
    ...{ name, order, url: preset.url as string | null }, // of the operator's own, none is shown
    auth: authName(auth?.kind ?? 'none', headers),
    ...{ variables, keysOptional: anonymous, networks, hasSupported, limits, registration },
    gatewayWallet: preset.gatewayWallet,
  }
}

function describeConfigured(
  facilitator: GatewayConfig['facilitators'][number],
  known: {
    readonly order: number
    readonly presets: ReadonlyMap<string, FacilitatorPreset>
    readonly networkName: (id: string) => string
  },
): Listed {
  const { order, presets, networkName } = known
  const { name } = facilitator
  const unlimited = { limits: { descriptionLength: null, minimum: null }, registration: null }
  if (facilitator.kind === 'local') {
    const networks = facilitator.networks.map(({ id }) => networkName(id))
    return {
      ...{ name, order, url: null, auth: authName('none', {}), networks, ...unlimited },
      ...{ variables: [], keysOptional: false, hasSupported: true, gatewayWallet: false },
    }
  }
  const { preset, auth, headers, quirks } = facilitator
  const named = preset === null ? undefined : presets.get(preset)
  if (named !== undefined) {
    return { ...describePreset(name, named, order), auth: authName(auth.kind, headers) }
  }
  return {
    // Its URL may have a key in its path.
    ...{ name, order, url: null },
    auth: authName(auth.kind, headers),
    ...{ variables: [], keysOptional: false },
    ...{ networks: quirks.supported?.map(networkName) ?? null, ...unlimited },
    ...{ hasSupported: quirks.supported === null },
    gatewayWallet: false,
  }
}

function authName(
  kind: FacilitatorConfig['auth']['kind'],
  headers: Readonly<Record<string, string>>,
): string {
  return kind === 'none' && Object.keys(headers).length > 0 ? 'headers' : kind
}

function facilitatorsText(facilitators: readonly Listed[]): string {
  const isConfigured = facilitators.some(({ order }) => order !== null)
  const header = [...(isConfigured ? ['ORDER'] : []), 'FACILITATOR', 'KEYS', 'NOTES', 'NETWORKS']
  const rows = facilitators.map(one => [
    ...(isConfigured ? [`${one.order ?? ''}`] : []),
    ...[one.name, keysText(one), notesText(one), one.networks?.join(', ') ?? 'it says itself'],
  ])
  return table([header, ...rows])
}

function keysText({ auth, variables, keysOptional }: Listed): string {
  if (auth === 'none' && variables.length === 0) return 'none'
  const names = variables.length === 0 ? auth : variables.join(', ')
  return keysOptional ? `${names} (optional)` : names
}

function notesText({ gatewayWallet, registration, limits }: Listed): string {
  return [
    ...(gatewayWallet ? ['only via: circle-gateway'] : []),
    ...(registration === null ? [] : ['receivers are registered']),
    ...(limits.minimum === null ? [] : [`from ${limits.minimum}`]),
    ...(limits.descriptionLength === null
      ? []
      : [`descriptions up to ${limits.descriptionLength}`]),
  ].join('; ')
}
