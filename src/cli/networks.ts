import type { Command } from 'commander'
import { isSold, type Network } from '../networks/registry.ts'
import { readConfiguration } from './configuration.ts'
import { EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.ts'
import { createOutput, type Output, table } from './output.ts'
import type { Surroundings } from './surroundings.ts'

export function registerNetworks(program: Command, surroundings: Surroundings): void {
  program
    .command('networks')
    .description('list the networks and tokens that are known')
    .option('-c, --config <file>', 'configuration file, for what it adds')
    .option('--json', 'print JSON, as when piped')
    .addHelpText('after', '\nExit codes: 0 listed, 2 the configuration has problems.\n')
    .action(async (options: { config?: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      const place = { output, env: surroundings.env }
      surroundings.exitCode = await listNetworks(options.config ?? null, place)
    })
}

async function listNetworks(
  file: string | null,
  place: { readonly output: Output; readonly env: NodeJS.ProcessEnv },
): Promise<ExitCode> {
  const { loadNetworkRegistry } = await import('../networks/registry.ts')
  const shipped = loadNetworkRegistry().networks
  const loaded = file === null ? null : await readConfiguration(file, place)
  if (file !== null && loaded === null) return EXIT_USAGE
  const networks = loaded?.config.networks ?? shipped
  const listed = networks.map(network => describeNetwork(network, shipped))
  place.output.result({ networks: listed }, () => networksText(listed))
  return EXIT_OK
}

type Listed = ReturnType<typeof describeNetwork>

/** A network as programs read it. Nodes are counted and not named: their URLs may carry keys. */
function describeNetwork(network: Network, shipped: readonly Network[]) {
  const { id, name, family, v1Name, aliases, testnet, assets, explorer, finality, rpc } = network
  const known = shipped.find(one => one.name === name)
  const isSame = JSON.stringify(known) === JSON.stringify(network)
  const reason = whyNotSold(network)
  return {
    ...{ name, id, family, chainId: family === 'evm' ? Number(id.split(':')[1]) : null },
    ...{ v1Name, aliases, testnet, sold: reason === null, reason, assets },
    ...{ explorer, finality, rpcNodes: rpc.length },
    from: known === undefined ? 'configuration' : isSame ? 'farebox' : 'both',
  } as const
}

/** Null where payments can be taken. */
function whyNotSold(network: Network): string | null {
  if (!isSold(network)) return 'farebox cannot check payments there'
  if (network.assets.length > 0) return null
  return `no token is known for sure: describe one under networks.${network.name}.assets`
}

function networksText(networks: readonly Listed[]): string {
  const isConfigured = networks.some(({ from }) => from !== 'farebox')
  const header = ['NETWORK', 'ID', 'V1 NAME', 'SOLD', 'TOKENS', ...(isConfigured ? ['FROM'] : [])]
  const rows = networks.map(network => [
    ...[network.name, network.id, network.v1Name ?? '', soldText(network)],
    network.assets.map(({ symbol }) => symbol).join(', '),
    ...(isConfigured ? [network.from] : []),
  ])
  const sold = networks.filter(network => network.sold).length
  return `${table([header, ...rows])}\n\n${networks.length} networks, ${sold} to be sold on`
}

function soldText({ sold, assets }: Listed): string {
  if (sold) return 'yes'
  return assets.length === 0 ? 'needs a token' : 'no'
}
