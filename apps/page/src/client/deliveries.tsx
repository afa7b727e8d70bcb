import type { Delivery, NotificationRecord } from './shapes.js';
import { Status } from './status.js';
import { channelNames, clockOf, dayOf, timeOf, wordsOf } from './words.js';

/** The deliveries of a notification: how each stands, and why. */
export function Deliveries({ of: { deliveries, templateId } }: { of: NotificationRecord }) {
  return (
    <ul className="deliveries" aria-label={`Deliveries of ${templateId}`}>
      {deliveries.map((delivery) => (
        <li key={`${delivery.channel} ${delivery.address}`} data-channel={delivery.channel}>
          <strong>{channelNames[delivery.channel]}</strong> <Status of={delivery.status} />
          <p>{wordsOf(delivery)}</p>
          <p className="quiet">{detailsOf(delivery)}</p>
        </li>
      ))}
    </ul>
  );
}

function detailsOf({ times, attempts, provider, reason, address }: Delivery): string {
  return [
    stepsOf(times),
    attempts > 0 && `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`,
    provider !== null && `by ${provider}`,
    reason !== null && reason,
    address !== null && `device ${address}`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The way of a delivery: the day is said where it changes. */
function stepsOf(times: Delivery['times']): string {
  const steps = Object.entries(times).toSorted(([, a], [, b]) => a - b);
  return steps
    .map(([status, at], i) => `${status} ${i > 0 && dayOf(at) === dayOf(steps[i - 1]?.[1] as number) ? clockOf(at) : timeOf(at)}`)
    .join(', ');
}
