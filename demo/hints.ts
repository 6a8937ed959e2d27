import { paint } from './print.ts'
import type { World } from './world.ts'

/** What to try while everything is running. */
export function nextThings({ gateway, configFile, buyerPrivateKey }: World): string {
  const weather = `${gateway.url}/v1/weather/oslo`
  const report = `curl -i -X POST ${gateway.url}/v1/report -d '{"city":"oslo"}'`
  const groups = [
    ['Ask without paying', [`curl -i ${weather}`, report]],
    ['Ask for what is free', [`curl ${gateway.url}/health`]],
    [
      'Pay, as an agent would (the key is public and holds test money)',
      [
        `export FAREBOX_PAYER_KEY=${buyerPrivateKey}`,
        `npm run farebox -- pay ${weather} --max 0.01`,
        `npm run farebox -- pay ${gateway.url}/v1/forecast/oslo/stream --max 0.01`,
      ],
    ],
    ['Edit the prices and see the next answer change', [configFile]],
  ] as const
  const { adminUrl } = gateway
  const watching = adminUrl === null ? [] : ([['Watch it', [`curl ${adminUrl}/metrics`]]] as const)
  const text = [...groups, ...watching].map(([title, lines]) => group(title, lines)).join('')
  return `\n${paint('bold', '  It stays up. Try:')}\n\n${text}  Ctrl-C stops everything.\n`
}

function group(title: string, lines: readonly string[]): string {
  return `  ${title}\n${lines.map(line => `    ${paint('cyan', line)}\n`).join('')}\n`
}
