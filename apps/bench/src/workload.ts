/** The template both sides render: that of the founding example. */
export const template = {
  id: 'appointment-reminder',
  title: 'Upcoming Appointment',
  body: 'You have an appointment with {{therapistName}} on {{date}} at {{time}}',
};

/** Users, each with one socket. */
export const USERS = 200;

export const userName = (index: number) => `user-${index % USERS}`;

/** The notification number `index` of a load: the users take turns. */
export function request(index: number) {
  return {
    userId: userName(index),
    templateId: template.id,
    data: { therapistName: 'Dr. Smith', date: '2025-03-15', time: '2:00 PM' },
  };
}

/** Where the user of a load's notification number `index` gets mail. */
export const addressOf = (index: number) => `${userName(index)}@clinic.example`;

/** The FCM token of that user's phone, as long as real ones. */
export const deviceOf = (index: number) => `${userName(index)}:`.padEnd(152, 'x');
