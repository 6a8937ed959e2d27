import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface GatewayFile {
  readonly path: string
  remove(): Promise<void>
}

export interface GatewayFileOptions {
  readonly payTo: string
  readonly facilitatorUrl: string
  readonly upstreamUrl: string
}

/** Writes the demo's configuration to a folder of its own, where it can be edited. */
export async function writeGatewayFile(options: GatewayFileOptions): Promise<GatewayFile> {
  const folder = await mkdtemp(join(tmpdir(), 'farebox-demo-'))
  const path = join(folder, 'gateway.yaml')
  await writeFile(path, gatewayYaml(options))
  return { path, remove: () => rm(folder, { recursive: true, force: true }) }
}

function gatewayYaml({ payTo, facilitatorUrl, upstreamUrl }: GatewayFileOptions): string {
  return `# The demo's gateway. Change a price, save, and ask again: it is in force at once.
version: 1

payTo: "${payTo}"
accepts: [base-sepolia]
facilitators: ["${facilitatorUrl}"]

server: {listen: 127.0.0.1:0}
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite::memory:"}

upstreams:
  weather:
    url: ${upstreamUrl}

routes:
  GET /v1/weather/{city}: $0.001
  GET /v1/forecast/{city}/stream: $0.01
  POST /v1/report:
    price: $0.25
    description: A month of weather for one city
  # It always fails, and a failure costs the caller nothing.
  GET /v1/broken: $0.001
  /health: free
`
}
