import type { LaneResult } from './lane.ts'
import type { Violation } from './rules.ts'

export function lanesToText(lanes: readonly LaneResult[]): string {
  return lanes.map(laneToText).join('\n\n')
}

function laneToText({ name, lives, orders, settled }: LaneResult): string {
  const missed = lives.filter(({ hit }) => !hit).length
  const lines = [
    `${name}: ${lives.length} kills, ${orders} orders`,
    `  aimed at${tally(lives.map(({ plan }) => plan.aim.kind))}`,
    `  ${missed} of these did not come to pass and were killed at the end of their load`,
    `  at work when killed${tally(lives.flatMap(({ inFlight }) => inFlight))}`,
  ]
  if (settled !== null) {
    const { transfers, rows, redeemed, redeemedLast } = settled
    lines.push(
      `  ${transfers.length} transfers; ${redeemed} redeemed after a kill, and ${redeemedLast} in the end`,
      `  rows in the end${tally(rows.map(({ state }) => state))}`,
    )
  }
  return lines.join('\n')
}

function tally(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([name, count]) => `\n    ${String(count).padStart(5)}  ${name}`)
    .join('')
}

/** What was broken, and for each promise the story of an order that it happened to. */
export function violationsToText(violations: readonly Violation[]): string {
  const rules = tally(violations.map(({ rule }) => rule))
  const firsts = violations.filter(
    ({ rule }, index) => violations.findIndex(one => one.rule === rule) === index,
  )
  const stories = firsts.map(({ rule, detail, order }) => {
    const lines = order?.story.map(line => `\n    ${line}`).join('') ?? ''
    return `${rule}: ${detail}\n  ${JSON.stringify(order?.plan ?? null)}${lines}`
  })
  return `Broken promises:${rules}\n\n${stories.join('\n\n')}`
}
