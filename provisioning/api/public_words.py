"""What customers' pages say, in each language they speak; moments and amounts come written in that language already.

A page speaks the language that its address asks for, which a mail's link does if the mail was in another than the
ISP's own; else the language of the ISP's mails, or English where there are no words for it.
"""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "wifi.title": "Your WiFi password",
        "wifi.before": "The password is shown once. Have your device or something to write at hand.",
        "wifi.show": "Show the password",
        "wifi.after": "After that this link opens nothing any more.",
        "wifi.keep": "Please keep it now: it isn't shown again.",
        "gone.title": "There is nothing to show",
        "gone.words": "This secret is not kept any more. Please ask your provider for a new one.",
        "offer.title": "Your offer",
        "offer.thanks": "Thank you, the offer is accepted",
        "offer.accepted": "Offer {number} was accepted on {moment}. You need to do nothing more.",
        "offer.renewal": "Your subscription goes on for {months} months from {day}.",
        "offer.renewal_of_one": "Your subscription goes on for 1 month from {day}.",
        "offer.number": "Offer {number}",
        "offer.price": "Price",
        "offer.once": "once",
        "offer.each_period": "each billing period",
        "offer.total": "Total",
        "offer.total_at_start": "Total at the start",
        "offer.prepaid": "To be paid in advance.",
        "offer.invoice": "To be paid by invoice.",
        "offer.accept": "Accept this offer for {money}",
        "offer.open_until": "This offer is open until {moment}.",
        "offer.over.title": "This offer's time is over",
        "offer.over.words": "It was open until {moment}. Please ask us for a new offer.",
        "offer.closed.title": "This offer is not open any more",
        "offer.withdrawn.words": "It was withdrawn. Please ask us for a new offer.",
        "offer.closed.words": "It was withdrawn, or its time is over. Please ask us for a new offer.",
        "link.used.title": "This link was used already",
        "link.used.words": "It was used on {moment} and opens once. If it wasn't you, please tell us.",
        "link.old.title": "This link is too old",
        "link.old.words": "It opened until {moment}. Please ask us for a new one.",
        "link.forged.title": "This link doesn't open anything",
        "link.forged.words": "It isn't complete, or not one of ours. Please take the whole address from the mail just"
        " as it is.",
        "page.nothing.title": "Nothing is here",
        "page.nothing.words": "There is no page at this address. Please check it, or ask for the right one.",
        "page.withdrawn.title": "This page is closed",
        "page.withdrawn.words": "This page was closed and doesn't come back. Please ask your provider.",
        "trouble.title": "This doesn't work just now",
        "trouble.words": "Please try again in a few minutes.",
        "refused.title": "This can't be taken",
        "refused.words": "Please use the address just as you were given it.",
    },
    "de": {
        "wifi.title": "Ihr WLAN-Passwort",
        "wifi.before": "Das Passwort wird einmal angezeigt. Halten Sie Ihr Gerät oder etwas zum Schreiben bereit.",
        "wifi.show": "Passwort anzeigen",
        "wifi.after": "Danach öffnet dieser Link nichts mehr.",
        "wifi.keep": "Bitte bewahren Sie es jetzt auf: Es wird nicht noch einmal angezeigt.",
        "gone.title": "Hier gibt es nichts anzuzeigen",
        "gone.words": "Dieses Passwort wird nicht mehr aufbewahrt. Bitte fragen Sie Ihren Anbieter nach einem neuen.",
        "offer.title": "Ihr Angebot",
        "offer.thanks": "Vielen Dank, das Angebot ist angenommen",
        "offer.accepted": "Angebot {number} wurde angenommen: {moment}. Sie brauchen nichts weiter zu tun.",
        "offer.renewal": "Ihr Vertrag läuft ab dem {day} {months} Monate weiter.",
        "offer.renewal_of_one": "Ihr Vertrag läuft ab dem {day} einen Monat weiter.",
        "offer.number": "Angebot {number}",
        "offer.price": "Preis",
        "offer.once": "einmalig",
        "offer.each_period": "je Abrechnungszeitraum",
        "offer.total": "Summe",
        "offer.total_at_start": "Summe zu Beginn",
        "offer.prepaid": "Im Voraus zu bezahlen.",
        "offer.invoice": "Zahlung auf Rechnung.",
        "offer.accept": "Dieses Angebot für {money} annehmen",
        "offer.open_until": "Dieses Angebot gilt bis {moment}.",
        "offer.over.title": "Dieses Angebot ist abgelaufen",
        "offer.over.words": "Es galt bis {moment}. Bitte fragen Sie uns nach einem neuen Angebot.",
        "offer.closed.title": "Dieses Angebot gilt nicht mehr",
        "offer.withdrawn.words": "Es wurde zurückgezogen. Bitte fragen Sie uns nach einem neuen Angebot.",
        "offer.closed.words": "Es wurde zurückgezogen oder ist abgelaufen. Bitte fragen Sie uns nach einem neuen.",
        "link.used.title": "Dieser Link wurde schon benutzt",
        "link.used.words": "Er wurde benutzt: {moment}. Er öffnet nur einmal; wenn Sie das nicht waren, sagen Sie es"
        " uns bitte.",
        "link.old.title": "Dieser Link ist zu alt",
        "link.old.words": "Er galt bis {moment}. Bitte fragen Sie uns nach einem neuen.",
        "link.forged.title": "Dieser Link öffnet nichts",
        "link.forged.words": "Er ist nicht vollständig oder nicht von uns. Bitte übernehmen Sie die ganze Adresse genau"
        " so aus der Mail.",
        "page.nothing.title": "Hier ist nichts",
        "page.nothing.words": "Unter dieser Adresse gibt es keine Seite. Bitte prüfen Sie sie oder fragen Sie nach der"
        " richtigen.",
        "page.withdrawn.title": "Diese Seite ist geschlossen",
        "page.withdrawn.words": "Diese Seite kommt nicht wieder. Bitte fragen Sie Ihren Anbieter.",
        "trouble.title": "Das geht gerade nicht",
        "trouble.words": "Bitte versuchen Sie es in einigen Minuten noch einmal.",
        "refused.title": "Das können wir nicht annehmen",
        "refused.words": "Bitte benutzen Sie die Adresse genau so, wie Sie sie bekommen haben.",
    },
}
"""By language, by key. What stands in braces is filled in by the page."""


def say(language: str, key: str, **given: object) -> str:
    """The words of this key. Raises: KeyError for a key that there is not."""
    return WORDS[language][key].format_map(given)
